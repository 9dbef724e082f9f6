"""Checks that the tree keeps its own rules. One check per name:

  rooms      a third-party header is included only in the room that owns it, and a room includes only rooms above it
  uses       the rooms that CMake's room USES are those that its headers include
  listed     every header is listed in its room's CMake file, and every stage's is included by penstock.hpp
  tests      every test file is listed in the CMakeLists.txt beside it
  batteries  every stage header has a test of its name that registers the conformance battery
  docs       the six lines of a stage's doc comment: Order, Buffers, Resume, Threads, Errors, and an example, in this order
  examples   the example of a doc comment is the text of the test that checks it
  pages      every link of a page leads to a file, or to a heading of one; the reference names every stage, source and end; the examples' page every lesson
  machine    no file names a folder of somebody's machine, or a host that packages were fetched from

usage: check_tree.py ROOT CHECK
"""
import pathlib
import re
import subprocess
import sys

# From the top down: a room includes only rooms above it. Second: the third-party headers that live in it.
LIBTORCH = ("ATen/", "c10/", "torch/")
ROOMS = {
    "core": (), "sources": (), "stages": (),
    "ranges": ("range/v3/",),
    "concurrency": ("boost/asio/thread_pool.hpp", "boost/asio/post.hpp"),
    "io": (),
    "formats": ("zlib.h",),  # gzip
    "image": ("spng.h", "zlib.h", "jpeglib.h", "jerror.h", "hwy/"),  # zlib: libspng's own
    "cuda": ("cuda", "cub/"),
    "dist": (*LIBTORCH, "gloo/"),
    "tensor": LIBTORCH,
    "train": (*LIBTORCH, "nlohmann/"),
}
# A header of these rooms without a dot (or in this list) is the standard library's; the others may use the operating system's too.
STD_ONLY = ("core", "sources", "stages")
C_HEADERS = re.compile(r"(assert|ctype|errno|float|inttypes|limits|locale|math|setjmp|signal|stdarg|stddef|stdint|stdio|stdlib|string|time)\.h")
POSIX = re.compile(r"(sys|net|netinet|arpa|linux)/\w+\.h|(unistd|fcntl|dirent|poll|pthread|sched|spawn|dlfcn|termios|netdb|pwd|immintrin|cpuid|x86intrin|ifaddrs|glob)\.h")
STAGE_ROOMS = ("sources", "stages", "ranges", "concurrency", "formats", "image", "tensor")
DOC_LINES = ("Order", "Buffers", "Resume", "Threads", "Errors")
MARK = re.compile(r"\bstage_of<|\bstage\(|\bterminal\(|\breturn pipeline\(")


def headers(root):
    """(room, path) of every public header; the room of penstock.hpp and its like is ''."""
    base = root / "include" / "penstock"
    for path in sorted(p for suffix in ("hpp", "cuh") for p in base.rglob(f"*.{suffix}")):
        parts = path.relative_to(base).parts
        yield (parts[0] if len(parts) > 1 else ""), path


def includes(path):
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if m := re.match(r'\s*#\s*include\s*[<"]([^>"]+)[>"]', line):
            yield number, m[1]


def check_rooms(root):
    order = list(ROOMS)
    for room, path in headers(root):
        if room and room not in ROOMS:
            yield f"{path}: '{room}' is no room; there are {', '.join(order)}"
            continue
        for number, name in includes(path):
            where = f"{path}:{number}: includes <{name}>"
            if name.startswith("penstock/"):
                used = name.split("/")[1] if name.count("/") > 1 else ""
                if room and used and (used not in order or order.index(used) > order.index(room)):
                    yield f"{where}: {room} includes only rooms above it: {', '.join(order[:order.index(room)])}"
                if room and not used and name != "penstock/version.hpp":
                    yield f"{where}: a room includes single headers, not the header of everything"
                continue
            if "/" not in name and "." not in name or C_HEADERS.fullmatch(name):
                continue
            owners = [r for r, libraries in ROOMS.items() if any(name.startswith(prefix) for prefix in libraries)]
            if owners and room not in owners:
                yield f"{where}: this library lives in {', '.join(owners)}"
            elif not owners and room in STD_ONLY:
                yield f"{where}: {room} includes the standard library alone"
            elif not owners and not POSIX.fullmatch(name):
                yield f"{where}: no room owns this library; it belongs into the table of {pathlib.Path(__file__).name}"


def check_uses(root):
    """Every room that a header includes is linked (by USES or WITH, or by what these use), and every room in USES is included."""
    declared, included = {}, {}
    for file in sorted((root / "cmake" / "rooms").glob("*.cmake")):
        for m in re.finditer(r"penstock_room\((\w+)\s(.*?)\)", file.read_text(), re.S):
            words, part = {"USES": set(), "WITH": set()}, None
            for word in m[2].split():
                if word.isupper():
                    part = words.get(word)
                elif part is not None:
                    part.add(word)
            declared[m[1]] = (file, words["USES"], words["WITH"])
    for room, path in headers(root):
        room = room or path.stem  # train.hpp is of the room train
        for number, name in includes(path):
            if name.startswith("penstock/") and name.count("/") > 1 and name.split("/")[1] != room:
                included.setdefault(room, {}).setdefault(name.split("/")[1], f"{path}:{number}")
    for room, (file, uses, brings) in declared.items():
        linked, todo = set(), [*uses, *brings]
        while todo:
            one = todo.pop()
            if one not in linked:
                linked.add(one)
                todo += declared.get(one, (None, (), ()))[1]
        for used, where in sorted(included.get(room, {}).items()):
            if used not in linked:
                yield f"{where}: {room} includes {used}, and {file} does not say so: USES ... {used}"
        for used in sorted(uses - set(included.get(room, {}))):
            yield f"{file}: {room} USES {used}, which none of its headers includes"


def check_tests(root):
    for path in sorted((root / "tests").glob("*/*_test.cpp")):
        lists = path.parent / "CMakeLists.txt"
        stem = path.stem.removesuffix("_test")
        # formats and io list their tests without `_test`
        if not lists.is_file() or not re.search(rf"(?<!\w){re.escape(stem)}(_test\.cpp)?(?!\w)", lists.read_text()):
            yield f"{path}: is not listed in {lists}: it is neither built nor run"


def check_listed(root):
    for room, path in headers(root):
        short = path.relative_to(root / "include" / "penstock").as_posix()
        lists = [root / "cmake" / "rooms" / f"{room}.cmake"] if room else sorted((root / "cmake").rglob("*.cmake"))
        if not any(re.search(rf"(^|[\s/]){re.escape(short)}([\s)\"]|$)", f.read_text(), re.M) for f in lists if f.is_file()):
            yield f"{path}: is not listed in {lists[0] if room else 'cmake/'}; an unlisted header is not tested alone"
    everything = root / "include" / "penstock" / "penstock.hpp"
    if everything.is_file():
        included = {name for _, name in includes(everything)}
        for path in sorted({path for path, room, *_ in stage_functions(root) if room != "tensor"}):
            name = path.relative_to(root / "include").as_posix()
            if name not in included:
                yield f"{everything}: does not include <{name}>"


def test_of(root, room, path):
    return root / "tests" / room / f"{path.stem}_test.cpp"


FUNCTION = re.compile(r"(?:\[\[nodiscard[^\]]*\]\]\s*)?(?:template\s*<.*>\s*)?(?:(?:inline|constexpr|static)\s+)*[\w:<>, ]+?[&*]?\s+(\w+)\(")
NO_FUNCTION = re.compile(r"(return|struct|class|namespace|using|else|if|throw|static_assert|friend|concept|requires)\b")


def functions(path):
    """(name, doc comment, text) of every function at namespace level outside `detail`."""
    doc, depth, depth_of_detail = [], 0, None
    lines = path.read_text().splitlines()
    for number, line in enumerate(lines):
        stripped = line.strip()
        if re.match(r"namespace (\w+::)*detail\b", stripped) and depth_of_detail is None:
            depth_of_detail = depth
        function = None
        if depth_of_detail is None and line[:1] not in ("", " ", "#", "/") and not NO_FUNCTION.match(stripped):
            function = FUNCTION.match(stripped)
        if stripped.startswith("///"):
            doc.append(stripped[3:].removeprefix(" "))
        elif function:
            body = "\n".join(lines[number:])
            end = re.search(r"\n}", body)  # the last brace of a function, and no other, stands at the start of a line
            one_line = stripped.endswith(("}", ";"))
            yield function[1], doc, lines[number] if one_line else body[: end.end()] if end else body
            doc = []
        elif stripped and not stripped.startswith(("template", "requires", "[[")):
            doc = []
        code = re.sub(r'"(\\.|[^"\\])*"|//.*', "", line)
        depth += code.count("{") - code.count("}")
        if depth_of_detail is not None and depth <= depth_of_detail and "}" in code:
            depth_of_detail = None


def stage_functions(root):
    """(path, room, name, doc) of every stage or terminal that users call, best documented overload only."""
    for room, path in headers(root):
        if room not in STAGE_ROOMS:
            continue
        found = {}
        for name, doc, body in functions(path):
            if MARK.search(body) or name == path.stem:
                if name not in found or len(doc) > len(found[name]):
                    found[name] = doc
        for name, doc in found.items():
            if room in ("stages", "concurrency") or any(line.startswith(DOC_LINES) for line in doc) or is_stage(path, name):
                yield path, room, name, doc


def is_stage(path, name):
    return any(n == name and MARK.search(body) for n, _, body in functions(path))


def is_terminal(path):
    text = path.read_text()
    return bool(re.search(r"\bterminal\(", text)) and not re.search(r"\bstage_of<|\bstage\(", text)


def check_batteries(root):
    for room, path in headers(root):
        if room not in ("stages", "ranges") or is_terminal(path) or not MARK.search(path.read_text()):
            continue
        test = test_of(root, room, path)
        if not test.is_file():
            yield f"{path}: has no test {test}"
        elif not re.search(r"\bbattery\w*\(", test.read_text()):
            yield f"{test}: does not register the conformance battery: battery(stage_case{{...}})"
        elif not any(re.search(rf"\b{test.name}\b", f.read_text()) for f in (root / "tests" / room).glob("CMakeLists.txt")):
            yield f"{test}: is not listed in tests/{room}/CMakeLists.txt"


def example_of(doc):
    """The indented block at the end of a doc comment."""
    block = []
    for line in reversed(doc):
        if line.startswith("    "):
            block.insert(0, line[4:].rstrip())
        elif line.strip() == "" and block:
            break
        elif line.strip():
            break
    return block


def check_docs(root):
    for path, room, name, doc in stage_functions(root):
        terminal = is_terminal(path)
        heads = [line.split()[0] for line in doc if line.startswith(DOC_LINES)]
        wanted = list(DOC_LINES)
        if terminal and not heads and doc:
            continue  # a terminal holds nothing between calls: a sentence is enough
        if heads != wanted:
            yield f"{path}: {name}: the doc comment must have the lines {', '.join(wanted)}, in this order, got {', '.join(heads) or 'none'}"
        elif not example_of(doc):
            yield f"{path}: {name}: the doc comment must end with an example, indented by four"


def plain(lines):
    """Examples are compared without what a test needs more: indentation, `auto x =`, `ps::`, `std::move`, `;` and the width of gaps."""
    text = [re.sub(r"\s+", " ", line.replace("ps::", "").strip()) for line in lines]
    text = [re.sub(r"std::move\((\w+)\)", r"\1", re.sub(r"^auto \w+ = ", "", line)) for line in text]
    return [re.sub(r";(?= //|$)", "", line).rstrip() for line in text if line and line != ";"]


def check_examples(root):
    for path, room, name, doc in stage_functions(root):
        example = example_of(doc)
        if not example or not any(line.startswith(DOC_LINES) for line in doc):
            continue
        test = test_of(root, room, path)
        if not test.is_file():
            yield f"{path}: {name}: its example is checked by no test; expected {test}"
            continue
        m = re.search(rf"^\s*// example-begin {re.escape(name)}$\n(.*?)^\s*// example-end", test.read_text(), re.M | re.S)
        if not m:
            yield f"{test}: has no block `// example-begin {name}` ... `// example-end` for the example in {path}"
        elif plain(m[1].splitlines()) != plain(example):
            yield f"{path}: the example of {name} is not the one in {test}:\n    doc:  {plain(example)}\n    test: {plain(m[1].splitlines())}"


def files_of(root):
    """What git keeps or would keep; without git all but what is built, made or fetched."""
    listed = subprocess.run(["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"], capture_output=True)
    if listed.returncode == 0:
        return [root / f for f in listed.stdout.decode().split("\0") if f]
    return [f for f in root.rglob("*") if f.is_file() and not {"build", ".venv", ".git", "data"} & set(f.relative_to(root).parts)]


def prose(path):
    """(number, line) of a page's lines outside blocks of code."""
    inside = False
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.lstrip().startswith("```"):
            inside = not inside
        elif not inside:
            yield number, line


def anchors(path):
    """What a link to a heading of the page says, as GitHub makes it of the heading's words."""
    for _, line in prose(path):
        if m := re.match(r"#+\s+(.*?)\s*#*$", line):
            yield re.sub(r"[^\w\- ]", "", m[1].lower()).replace(" ", "-")


def check_pages(root):
    for path in files_of(root):
        if path.suffix != ".md" or not path.is_file():
            continue
        for number, line in prose(path):
            for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", line)):
                if re.match(r"[a-z]+:", link):
                    continue
                name, _, heading = link.partition("#")
                target = path.parent / name if name else path
                if not target.exists():
                    yield f"{path}:{number}: links to {link}, which is not there"
                elif heading and (target.suffix != ".md" or heading not in anchors(target)):
                    yield f"{path}:{number}: links to {link}, and {name or 'this page'} has no such heading"
    reference = root / "include" / "penstock" / "README.md"
    named = {word for _, line in prose(reference) for code in re.findall(r"`([^`]+)`", line) for word in re.findall(r"\w+", code)} if reference.is_file() else set()
    for path, name in sorted({(path, name) for path, _, name, _ in stage_functions(root)}):
        if name not in named:
            yield f"{reference}: does not name `{name}` of {path}"
    lessons = root / "examples" / "README.md"
    text = lessons.read_text() if lessons.is_file() else ""
    for path in sorted((root / "examples").glob("[0-9][0-9]_*.cpp")):
        if f"]({path.name})" not in text:
            yield f"{lessons}: does not link to {path.name}"


def check_machine(root):
    # written in pieces: this file is searched as well
    words = [r"(?<![\w./])/" + "work/", r"(?<![\w./])/" + "root/", r"/home/(?!user\b|you\b|me\b)\w+/", "index" + "-url", "find" + "-links",
             "trusted" + "-host", r"\bhttps?://[\w.-]*(?:pypi|pythonhosted|deb\.debian|archive\.ubuntu|snapshot\.debian)[\w.-]*"]
    pattern = re.compile("|".join(words))
    for path in files_of(root):
        if not path.is_file() or path.is_symlink():
            if path.is_symlink() and str(path.readlink()).startswith("/"):
                yield f"{path}: is a link to {path.readlink()}, a folder of this machine"
            continue
        data = path.read_bytes()
        if b"\0" in data[:8000]:
            continue
        for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
            if m := pattern.search(line):
                yield f"{path}:{number}: names something of one machine: {m[0]}"


def run(root, name):
    return list(globals()[f"check_{name}"](pathlib.Path(root)))


if __name__ == "__main__":
    problems = run(sys.argv[1], sys.argv[2])
    for problem in problems:
        print(problem.replace(f"{sys.argv[1]}/", ""), file=sys.stderr)
    sys.exit(bool(problems))
