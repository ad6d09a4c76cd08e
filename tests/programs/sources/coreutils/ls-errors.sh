ls /nonexistent
ls -d /root/../etc/./passwd
ls -la --time-style=+%s /dev/null /dev/zero | cut -c1-10
