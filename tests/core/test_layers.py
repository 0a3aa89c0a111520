"""Who may import whom: pages show, chapters compute, the runtime serves both, and arrows run downwards only.

The sources are read, not run: an import inside a function counts as well as one at the top.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]

# The chapters that a chapter may use besides itself and the runtime: where its subject builds on theirs.
CHAPTERS = {
    "convolution": set(),
    "architectures": {"convolution"},
    "training": {"architectures", "convolution", "detection"},
    "detection": {"architectures"},
    "faces": {"architectures"},
    "style": {"architectures"},
    "interpretation": {"architectures", "detection"},  # the detector is one of the networks to look into
}
TRAINING_COMMANDS = {
    "train",
    "pretrain",
}  # modules that make the embedded models may use the training chapter
TENSORFLOW = {"tensorflow", "keras"}


@dataclass(frozen=True)
class Import:
    """One imported module: its full name, its line, and whether the import runs with the module itself."""

    name: str
    line: int
    is_at_top: bool

    @property
    def package(self) -> str:
        return self.name.split(".")[0]


def imports_of(source: str, module: str = "") -> list[Import]:
    """All imports of a source, those by importlib with a literal name too; relative names are made full."""
    found: list[Import] = []
    for node, is_at_top in _walk(ast.parse(source), is_at_top=True):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = ".".join(module.split(".")[: -node.level]) if node.level else ""
            base = ".".join(part for part in (start, node.module or "") if part)
            # What is imported from a package may be a module of it.
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in (
            "import_module",
            "__import__",
        ):
            names = [str(part.value) for part in node.args[:1] if isinstance(part, ast.Constant)]
        found += [Import(name, getattr(node, "lineno", 0), is_at_top) for name in names]
    return found


def _walk(node: ast.AST, *, is_at_top: bool) -> Iterator[tuple[ast.AST, bool]]:
    for child in ast.iter_child_nodes(node):
        is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for_types_only = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
        is_child_at_top = is_at_top and not is_function and not for_types_only
        yield child, is_child_at_top
        yield from _walk(child, is_at_top=is_child_at_top)


def modules_under(*folders: str) -> dict[str, Path]:
    """The project's modules by name, `core.runtime.images` and its like."""
    files = [file for folder in folders for file in sorted((PROJECT / folder).rglob("*.py"))]
    return {_module_name(file): file for file in files}


def _module_name(file: Path) -> str:
    parts = file.relative_to(PROJECT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imports_in(file: Path) -> list[Import]:
    # In a package's own file, a relative import starts at the package itself.
    suffix = ".__init__" if file.name == "__init__.py" else ""
    return imports_of(file.read_text(), _module_name(file) + suffix)


def all_imports(modules: dict[str, Path]) -> Iterator[tuple[str, Import]]:
    for module, file in modules.items():
        for imported in imports_in(file):
            yield module, imported


def wrong(pairs: Iterator[tuple[str, Import]]) -> list[str]:
    return sorted({f"{module}, line {imported.line}: {imported.name}" for module, imported in pairs})


CORE = modules_under("core")
PAGES = modules_under("pages") | {"streamlit_app": PROJECT / "streamlit_app.py"}


def test_the_project_was_found():
    assert {"core.runtime.images", "core.runtime.engine", "core.convolution.filters"} <= CORE.keys()
    assert {"pages.home", "pages.parts.routes", "streamlit_app"} <= PAGES.keys()
    for module in CHAPTERS:
        if (PROJECT / "core" / module).exists():
            assert any(name.startswith(f"core.{module}.") for name in CORE)


def test_no_chapter_is_missing_in_the_table():
    folders = {path.name for path in (PROJECT / "core").iterdir() if any(path.glob("*.py"))}
    assert folders - {"runtime"} <= CHAPTERS.keys()


def test_core_knows_no_screen():
    assert not wrong((module, found) for module, found in all_imports(CORE) if found.package == "streamlit")


def test_core_imports_no_page_and_no_test():
    above = {"pages", "streamlit_app", "tests"}
    assert not wrong((module, found) for module, found in all_imports(CORE) if found.package in above)


def test_pages_leave_tensorflow_to_the_workers():
    assert not wrong((module, found) for module, found in all_imports(PAGES) if found.package in TENSORFLOW)


def test_nothing_the_web_server_imports_has_tensorflow_at_its_top():
    seen: dict[str, str] = {}  # a module, and who brought it in
    waiting = [(module, "") for module in PAGES]
    found: list[str] = []
    while waiting:
        module, importer = waiting.pop()
        if module in seen:
            continue
        seen[module] = importer
        is_page = module in PAGES
        for imported in imports_in((PAGES | CORE)[module]):
            if not is_page and not imported.is_at_top:
                continue  # inside a function of core: it runs in a worker
            if imported.package in TENSORFLOW:
                found.append(f"{module}, line {imported.line}: {imported.name} (brought in by {importer})")
            parts = imported.name.split(".")
            # Importing a module runs the packages above it too.
            for length in range(1, len(parts) + 1):
                name = ".".join(parts[:length])
                if name in CORE or name in PAGES:
                    waiting.append((name, module))
    assert not found
    assert "core.runtime.images" in seen and "core.convolution.filters" in seen


def test_chapters_know_each_other_only_where_the_subject_does():
    def is_wrong(module: str, imported: Import) -> bool:
        here, there = module.split("."), imported.name.split(".")
        if there[0] != "core" or len(there) < 2 or len(here) < 2 or here[1] not in CHAPTERS:
            return False
        allowed = {here[1], "runtime"} | CHAPTERS[here[1]]
        if here[-1] in TRAINING_COMMANDS:
            allowed.add("training")
        return there[1] not in allowed

    assert not wrong((module, found) for module, found in all_imports(CORE) if is_wrong(module, found))


def test_the_runtime_knows_no_chapter():
    chapters = tuple(f"core.{name}" for name in CHAPTERS)
    assert not wrong(
        (module, found)
        for module, found in all_imports(CORE)
        if module.startswith("core.runtime") and found.name.startswith(chapters)
    )


def test_only_the_engine_knows_dask():
    assert not wrong(
        (module, found)
        for module, found in all_imports(CORE | PAGES)
        if found.package in ("dask", "distributed") and module != "core.runtime.engine"
    )


def test_parts_know_no_page_and_pages_not_one_another():
    def is_wrong(module: str, imported: Import) -> bool:
        return (
            imported.package == "pages"
            and imported.name in PAGES
            and not imported.name.startswith("pages.parts")
            and imported.name != "pages"
            and module != imported.name
        )

    assert not wrong((module, found) for module, found in all_imports(PAGES) if is_wrong(module, found))


@pytest.mark.parametrize("module", sorted(CORE))
def test_every_module_of_core_says_what_it_is(module):
    docstring = ast.get_docstring(ast.parse(CORE[module].read_text()))
    assert docstring and docstring.splitlines()[0].rstrip().endswith((".", ":"))


class TestTheReaderOfImports:
    @pytest.mark.parametrize(
        ("source", "name", "is_at_top"),
        [
            ("import keras", "keras", True),
            ("import keras.ops as K", "keras.ops", True),
            ("from tensorflow import nn", "tensorflow", True),
            ("from core import runtime", "core.runtime", True),
            ("try:\n    import keras\nexcept ImportError:\n    pass", "keras", True),
            ("class A:\n    import keras", "keras", True),
            ("if True:\n    import keras", "keras", True),
            ("def f():\n    import keras", "keras", False),
            ("async def f():\n    if x:\n        import keras", "keras", False),
            ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import keras", "keras", False),
            ("import importlib\nimportlib.import_module('keras')", "keras", True),
            ("def f():\n    __import__('keras')", "keras", False),
            ("from . import images", "core.runtime.images", True),
            ("from .images import decode_image", "core.runtime.images", True),
            ("from ..convolution import filters", "core.convolution.filters", True),
        ],
    )
    def test_finds_every_kind(self, source, name, is_at_top):
        found = {imported.name: imported.is_at_top for imported in imports_of(source, "core.runtime.here")}
        assert found.get(name) == is_at_top

    def test_leaves_strings_and_comments_alone(self):
        assert imports_of('code = """\nimport keras\n"""  # import tensorflow') == []
