find . -exec touch -h -d @1600000000 {} +
ls -lR --time-style=+%s /usr/lib/python3 | head -n 2000
