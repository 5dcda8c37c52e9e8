"""``python -m vlcache_cli`` is ``vlcache``."""

from __future__ import annotations

import sys

from vlcache_cli.app import main

sys.exit(main())
