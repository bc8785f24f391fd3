"""`python -m cascade_tui` is `cascade-tui`."""

import sys

from cascade_tui.cli import main

sys.exit(main())
