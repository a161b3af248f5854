"""What holds for every test: no property is judged by how fast the machine is."""

from hypothesis import HealthCheck, settings

settings.register_profile("crossfade", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("crossfade")
