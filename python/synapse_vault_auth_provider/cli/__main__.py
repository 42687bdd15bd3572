"""``python -m synapse_vault_auth_provider.cli``, where the command is not on the search path."""

import sys

from . import main

sys.exit(main())
