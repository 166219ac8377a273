"""What is said where scikit-learn is missing."""

import subprocess
import sys

PROGRAM = """
import sys
sys.modules["sklearn"] = None
try:
    import netlayers.estimators
except ImportError as error:
    print(error)
"""


def test_the_package_is_named():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], check=False, capture_output=True, text=True
    )
    assert "netlayers.estimators needs the package scikit-learn, 1.6 or newer" in done.stdout
    assert "pip install -U scikit-learn" in done.stdout
