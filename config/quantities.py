"""Values with their unit: durations and percentages."""

from datetime import timedelta

Duration = timedelta
Percent = float
SmokeLine = str
