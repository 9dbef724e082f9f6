"""Builds a small tree that keeps all rules, then breaks one rule at a time: exactly the check of that rule must complain."""
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import check_tree  # noqa: E402

STAGE = """// Implements: take(n).
#pragma once

#include <penstock/core/errors.hpp>

#include <cstdint>

namespace penstock {

/// Ends every epoch after n items.
///
/// Order    unchanged
/// Buffers  nothing
/// Resume   exact
/// Threads  none
/// Errors   config_error if n < 0
///
///     from_vector({10, 20, 30}) | take(2)    // 10 20
template <class N>
    requires true
inline auto take(N n) {
    return stage_of<take_stage>("take", n);
}

}  // namespace penstock
"""
TEST = """#include <penstock/stages/take.hpp>
TEST_CASE("take") {
    battery(stage_case{});
    auto p =
        // example-begin take
        ps::from_vector({10, 20, 30}) | ps::take(2)  // 10 20
        // example-end
        ;
}
"""
FILES = {
    "include/penstock/core/errors.hpp": "#pragma once\n#include <string>\n",
    "include/penstock/stages/take.hpp": STAGE,
    "include/penstock/penstock.hpp": "#include <penstock/stages/take.hpp>\n",
    "cmake/rooms/core.cmake": "penstock_room(core HEADERS\n  core/errors.hpp\n)\n",
    "cmake/rooms/stages.cmake": "penstock_room(stages USES core HEADERS\n  stages/take.hpp)\n",
    "cmake/penstock_rooms.cmake": "penstock.hpp\n",
    "tests/stages/take_test.cpp": TEST,
    "tests/stages/CMakeLists.txt": "penstock_test(take_test SOURCES take_test.cpp ROOMS stages)\n",
    "README.md": "# penstock\n[stages](include/penstock/README.md#the-vocabulary), [header](include/penstock/stages/take.hpp)\n```cpp\na[0](1)\n```\n`b[0](1)`\n",
    "include/penstock/README.md": "# Reference\n[words](#the-vocabulary)\n## The vocabulary\n`take(n)`\n",
    "examples/01_first.cpp": "// 01: first.\n",
    "examples/README.md": "[01_first](01_first.cpp)\n",
}
CHECKS = ("rooms", "uses", "listed", "tests", "batteries", "docs", "examples", "pages", "machine")


class Tree(unittest.TestCase):
    def complaints(self, change):
        files = dict(FILES)
        change(files)
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for name, text in files.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text)
            return {check for check in CHECKS if check_tree.run(root, check)}

    def broken(self, file, old, new):
        self.assertIn(old, FILES[file])
        return self.complaints(lambda files: files.update({file: files[file].replace(old, new)}))

    def test_a_tree_that_keeps_the_rules(self):
        self.assertEqual(self.complaints(lambda files: None), set())

    def test_a_library_outside_its_room(self):
        self.assertEqual(self.broken("include/penstock/stages/take.hpp", "<cstdint>", "<boost/asio/thread_pool.hpp>"), {"rooms"})

    def test_a_library_that_no_room_owns(self):
        self.assertEqual(self.broken("include/penstock/stages/take.hpp", "<cstdint>", "<openssl/ssl.h>"), {"rooms"})

    def test_the_operating_system_in_a_standard_room(self):
        self.assertEqual(self.broken("include/penstock/stages/take.hpp", "<cstdint>", "<unistd.h>"), {"rooms"})

    def test_a_room_that_includes_one_below(self):
        self.assertEqual(self.broken("include/penstock/core/errors.hpp", "<string>", "<penstock/stages/take.hpp>"), {"rooms", "uses"})

    def test_a_room_that_includes_everything(self):
        self.assertEqual(self.broken("include/penstock/stages/take.hpp", "penstock/core/errors.hpp", "penstock/penstock.hpp"), {"rooms", "uses"})

    def test_a_room_that_cmake_does_not_link(self):
        self.assertEqual(self.broken("cmake/rooms/stages.cmake", "USES core ", ""), {"uses"})

    def test_a_room_that_cmake_links_for_nothing(self):
        self.assertEqual(self.broken("cmake/rooms/core.cmake", "HEADERS", "USES stages HEADERS"), {"uses"})

    def test_an_unlisted_header(self):
        self.assertEqual(self.broken("cmake/rooms/stages.cmake", "stages/take.hpp", ""), {"listed"})

    def test_a_stage_that_the_header_of_everything_lacks(self):
        self.assertEqual(self.broken("include/penstock/penstock.hpp", "#include <penstock/stages/take.hpp>", ""), {"listed"})

    def test_a_stage_without_battery(self):
        self.assertEqual(self.broken("tests/stages/take_test.cpp", "battery(", "nothing("), {"batteries"})

    def test_a_stage_without_test(self):
        self.assertEqual(self.complaints(lambda files: files.pop("tests/stages/take_test.cpp")), {"batteries", "examples"})

    def test_a_test_that_is_not_built(self):
        self.assertEqual(self.broken("tests/stages/CMakeLists.txt", "take_test.cpp", "other.cpp"), {"batteries", "tests"})

    def test_a_missing_line(self):
        self.assertEqual(self.broken("include/penstock/stages/take.hpp", "/// Buffers  nothing\n", ""), {"docs"})

    def test_lines_out_of_order(self):
        self.assertEqual(
            self.broken("include/penstock/stages/take.hpp", "/// Buffers  nothing\n/// Resume   exact\n", "/// Resume   exact\n/// Buffers  nothing\n"), {"docs"})

    def test_no_example(self):
        self.assertEqual(self.broken("include/penstock/stages/take.hpp", "///     from_vector({10, 20, 30}) | take(2)    // 10 20\n", ""), {"docs"})

    def test_an_example_that_says_something_else(self):
        self.assertEqual(self.broken("tests/stages/take_test.cpp", "// 10 20", "// 10 20 30"), {"examples"})

    def test_no_doc_comment_at_all(self):
        start, end = STAGE.index("///"), STAGE.index("template")
        self.assertEqual(self.complaints(lambda f: f.update({"include/penstock/stages/take.hpp": STAGE[:start] + STAGE[end:]})), {"docs"})

    def test_a_link_to_a_file_that_is_not_there(self):
        self.assertEqual(self.broken("README.md", "stages/take.hpp", "stages/taken.hpp"), {"pages"})

    def test_a_link_to_a_heading_that_is_not_there(self):
        self.assertEqual(self.broken("include/penstock/README.md", "## The vocabulary", "## Vocabulary"), {"pages"})

    def test_a_stage_that_the_reference_does_not_name(self):
        self.assertEqual(self.broken("include/penstock/README.md", "`take(n)`", "take(n)"), {"pages"})

    def test_a_lesson_that_the_examples_page_does_not_name(self):
        self.assertEqual(self.broken("examples/README.md", "[01_first](01_first.cpp)", ""), {"pages"})

    def test_a_folder_of_one_machine(self):
        self.assertEqual(self.broken("tests/stages/CMakeLists.txt", "penstock_test", "# see /wo" + "rk/main\npenstock_test"), {"machine"})


if __name__ == "__main__":
    unittest.main()
