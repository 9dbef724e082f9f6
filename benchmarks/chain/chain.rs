// The chains of against_rust.cpp, stage by stage, as Rust writes them.

/// A map that is no affine function of the index, which LLVM would reduce to additions, then a filter that keeps most.
macro_rules! mix {
    ($it:expr, $k:literal, $mask:literal, $not:literal) => {
        $it.map(|x: i64| x ^ (x >> $k)).filter(|x: &i64| x & $mask != $not)
    };
}
macro_rules! add {
    ($it:expr, $k:literal, $mask:literal, $not:literal) => {
        $it.map(|x: i64| x.wrapping_add(x >> $k)).filter(|x: &i64| x & $mask != $not)
    };
}

#[inline(always)]
fn chain4(n: i64) -> impl Iterator<Item = i64> {
    add!(mix!(0..n, 3, 7, 5), 2, 15, 9)
}

#[inline(always)]
fn chain16(n: i64) -> impl Iterator<Item = i64> {
    let four = add!(mix!(chain4(n), 5, 15, 3), 4, 31, 17);
    add!(mix!(add!(mix!(four, 7, 31, 30), 6, 63, 41), 9, 63, 5), 8, 127, 77)
}

/// Affine maps and a filter by parity: what a compiler can rewrite.
#[inline(always)]
fn affine4(n: i64) -> impl Iterator<Item = i64> {
    (0..n)
        .map(|x: i64| x.wrapping_mul(3).wrapping_add(1))
        .filter(|x: &i64| x & 1 == 0)
        .map(|x: i64| x ^ 0x55)
        .filter(|x: &i64| x & 6 != 0)
}

fn fold(it: impl Iterator<Item = i64>) -> i64 {
    it.fold(0, |total, x| total.wrapping_add(x))
}

fn by_for(it: impl Iterator<Item = i64>) -> i64 {
    let mut total = 0i64;
    for x in it {
        total = total.wrapping_add(x);
    }
    total
}

#[no_mangle]
pub extern "C" fn fold4(n: i64) -> i64 {
    fold(chain4(n))
}
#[no_mangle]
pub extern "C" fn for4(n: i64) -> i64 {
    by_for(chain4(n))
}
#[no_mangle]
pub extern "C" fn fold16(n: i64) -> i64 {
    fold(chain16(n))
}
#[no_mangle]
pub extern "C" fn for16(n: i64) -> i64 {
    by_for(chain16(n))
}
#[no_mangle]
pub extern "C" fn fold_affine4(n: i64) -> i64 {
    fold(affine4(n))
}
#[no_mangle]
pub extern "C" fn for_affine4(n: i64) -> i64 {
    by_for(affine4(n))
}
