"""docs/reference/errors.md has one complete section per error code, in the code's order."""
import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
FAULTS = {"client", "supplier", "operator", "gateway"}
RETRIES = {"no", "later", "elsewhere"}


def codes():
    """Names in the order of the enum, read from its definition and from error_code_name."""
    header = (ROOT / "src/base/result.h").read_text(encoding="utf-8")
    body = re.search(r"enum class ErrorCode[^{]*\{(.*?)\n\};", header, re.S).group(1)
    body = re.sub(r"//[^\n]*", "", body)
    constants = re.findall(r"\bk[A-Z]\w*", body)
    source = (ROOT / "src/base/result.cc").read_text(encoding="utf-8")
    names = dict(re.findall(r'case ErrorCode::(\w+):\s*return "(\w+)"', source))
    return [names[constant] for constant in constants]


def statuses():
    """The gateway's own table: the name of a code to the HTTP status it answers with."""
    header = (ROOT / "src/base/result.cc").read_text(encoding="utf-8")
    names = dict(re.findall(r'case ErrorCode::(\w+):\s*return "(\w+)"', header))
    source = (ROOT / "src/gateway/failure.cc").read_text(encoding="utf-8")
    rows = re.findall(r"Row\{ErrorCode::(\w+), (\d+),", source)
    return {name: 500 for name in names.values()} | {names[c]: int(s) for c, s in rows}


def sections():
    page = (ROOT / "docs/reference/errors.md").read_text(encoding="utf-8")
    parts = re.split(r"^## (.+)$", page, flags=re.M)[1:]
    return list(zip(parts[::2], parts[1::2]))


class ErrorsPage(unittest.TestCase):
    def test_every_code_has_its_section_and_no_section_is_left_over(self):
        self.assertGreater(len(codes()), 30)
        self.assertEqual(codes(), [name for name, _ in sections()])

    def test_every_section_says_status_fault_retry_and_what_is_billed(self):
        for name, text in sections():
            facts = dict(re.findall(r"^- (\w+): (.+)$", text, re.M))
            self.assertEqual({"Status", "Fault", "Retry", "Billed"}, set(facts), name)
            self.assertEqual(statuses()[name], int(facts["Status"][:3]), name)
            self.assertIn(facts["Fault"], FAULTS, name)
            self.assertIn(facts["Retry"], RETRIES, name)
            self.assertGreater(len(text.split("\n- ")[0].strip()), 20, name)


if __name__ == "__main__":
    unittest.main()
