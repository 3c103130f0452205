import pytest


@pytest.fixture
def fake_engine(tmp_path, monkeypatch):
    """Puts a module of one's own in the place of an engine's package, in the worker processes."""
    folder = tmp_path / "fakes"
    folder.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(folder))

    def put(module: str, source: str) -> None:
        (folder / f"{module}.py").write_text(source)

    return put
