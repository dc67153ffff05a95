"""What the docs say of names and places is so."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCS = [p for p in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]]


def test_every_error_name_is_documented_with_its_exit_code():
    source = (ROOT / "base" / "error.cc").read_text()
    names = dict(re.findall(r"case ErrorKind::(\w+):\s*return \"(\w+)\";", source))
    codes = {}
    for kinds, code in re.findall(r"((?:case ErrorKind::\w+:\s*)+)return (\d);", source):
        codes.update({kind: code for kind in re.findall(r"ErrorKind::(\w+)", kinds)})
    assert len(names) > 15 and names.keys() == codes.keys()
    documented = dict(re.findall(r"^\| `(\w+)` \| (\d) \|", (ROOT / "docs" / "errors.md").read_text(), re.M))
    assert documented == {names[kind]: codes[kind] for kind in names}


def test_every_link_inside_the_tree_leads_somewhere():
    dead = []
    for page in DOCS:
        for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            if not link.startswith(("http", "mailto")) and not (page.parent / link).exists():
                dead.append(f"{page.relative_to(ROOT)} → {link}")
    assert dead == []


def test_every_decision_is_listed():
    folder = ROOT / "docs" / "decisions"
    listed = set(re.findall(r"\]\((\d{4}-[^)]+)\)", (folder / "README.md").read_text()))
    assert listed == {p.name for p in folder.glob("[0-9]*.md")}


def test_every_room_of_the_law_that_stands_is_in_the_architecture():
    rooms = re.findall(r"^([a-z0-9]+):", (ROOT / "tools" / "layers.txt").read_text(), re.M)
    told = (ROOT / "ARCHITECTURE.md").read_text()
    assert [r for r in rooms if list((ROOT / r).glob("**/*.cc")) and f"| {r}/ |" not in told] == []


def test_every_make_target_of_the_readme_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    said = {t for page in DOCS for t in re.findall(r"^make ([a-z-]+)", page.read_text(), re.M)}
    assert said and said <= targets
