"""What all tests share: a data folder of their own, and quiet libraries."""

import os
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CNN_WORKBENCH_HOME", str(Path(tempfile.mkdtemp(prefix="cnn-workbench-test-"))))
