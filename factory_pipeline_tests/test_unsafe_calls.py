"""What input can reach runs no code of the input: no pickle, no `eval`, and YAML is read in one place."""

import ast
from pathlib import Path

import pytest

import factory_pipeline

PACKAGE = Path(factory_pipeline.__file__).parent
THAT_UNPICKLE = {
    "pickle",
    "cPickle",
    "_pickle",
    "cloudpickle",
    "dill",
    "joblib",
    "shelve",
    "marshal",
    "jsonpickle",
}
ALLOWED = {
    # A user names the file of an aligner as one names a program: it is code.
    ("volumes/aligners/torch_file.py", "torch.jit.load"),
    ("volumes/aligners/torch_file.py", "torch.export.load"),
    ("yaml_document.py", "yaml.load"),
}
NEEDED = {
    "np.load": ("allow_pickle", False),
    "numpy.load": ("allow_pickle", False),
    "torch.load": ("weights_only", True),
}
"""Calls that are safe with a keyword alone."""
REFUSED = {
    "eval",
    "exec",
    "compile",
    "os.system",
    "pd.read_pickle",
    "torch.jit.load",
    "torch.export.load",
    *(
        f"yaml.{name}"
        for name in ("load", "load_all", "safe_load", "full_load", "unsafe_load", "safe_load_all")
    ),
}
SAMPLES = {
    "import pickle": "imports pickle",
    "from pickle import loads": "imports pickle",
    "def f():\n import torch, dill.session": "imports dill",
    "np.load(path)": "np.load without allow_pickle=False",
    "np.load(path, allow_pickle=True)": "np.load without allow_pickle=False",
    "torch.load(path, map_location='cpu')": "torch.load without weights_only=True",
    "yaml.safe_load(text)": "yaml.safe_load",
    "eval('1')": "eval",
    "subprocess.run(command, shell=True)": "subprocess.run with shell=True",
}


def found_in(source: str, name: str) -> list[str]:
    """What a module has that it must not have."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            names = [module] if module else [alias.name for alias in node.names]
            found += [f"imports {top}" for full in names if (top := full.partition(".")[0]) in THAT_UNPICKLE]
        elif isinstance(node, ast.Call):
            called, given = ast.unparse(node.func), {word.arg: word.value for word in node.keywords}
            if called in NEEDED:
                key, value = NEEDED[called]
                if not (isinstance(given.get(key), ast.Constant) and given[key].value is value):
                    found.append(f"{called} without {key}={value}")
            elif called in REFUSED and (name, called) not in ALLOWED:
                found.append(called)
            if isinstance(given.get("shell"), ast.Constant) and given["shell"].value:
                found.append(f"{called} with shell=True")
    return found


@pytest.mark.integration  # reads every module, which takes seconds
def test_no_module_unpickles_or_evaluates() -> None:
    modules = sorted(PACKAGE.rglob("*.py"))
    assert len(modules) > 100
    found = {
        name: unsafe
        for path in modules
        if (
            unsafe := found_in(path.read_text(encoding="utf-8"), name := path.relative_to(PACKAGE).as_posix())
        )
    }
    assert found == {}


def test_what_is_allowed_is_there() -> None:
    for name, called in ALLOWED:
        assert f"{called}(" in (PACKAGE / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("source", SAMPLES)
def test_each_kind_is_found(source: str) -> None:
    assert found_in(source, "any.py") == [SAMPLES[source]]
