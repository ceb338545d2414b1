"""Settings, from the environment alone: development needs none, production names what is missing."""

from oneai import env

if env.debug():
    from oneai.settings.dev import *  # noqa: F403
else:
    from oneai.settings.prod import *  # noqa: F403
