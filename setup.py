"""What setup.cfg cannot say: what else a source distribution holds, so that its tests run."""

from setuptools import setup
from setuptools.command.sdist import sdist


class Complete(sdist):
    def make_distribution(self):
        self.filelist.graft("docs")
        self.filelist.graft("tests")
        for settings in (".pytest.ini", ".mypy.ini", ".ruff.toml", ".ci/run"):
            self.filelist.include(settings)
        for made in ("docs/_build/**", "**/__pycache__/**"):
            self.filelist.exclude(made)
        super().make_distribution()


setup(cmdclass={"sdist": Complete})
