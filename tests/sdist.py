"""What setup.cfg cannot say: what else a source distribution holds, so that its tests run."""

from __future__ import annotations

from setuptools.command.sdist import sdist


class Complete(sdist):
    """With tests, documentation, and the settings of the tools."""

    def make_distribution(self) -> None:
        self.filelist.graft("docs")
        self.filelist.graft("tests")
        for settings in (".pytest.ini", ".mypy.ini", ".ruff.toml", ".ci/run"):
            self.filelist.include(settings)
        for made in ("docs/_build/**", "**/__pycache__/**"):
            self.filelist.exclude(made)
        super().make_distribution()
