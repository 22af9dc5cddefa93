"""The kernel: clocks, mailboxes, drivers, schedules, retries, records."""
