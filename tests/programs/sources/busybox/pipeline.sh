echo one two three | tr ' ' '\n' | sort -r | head -n 2 | wc -l
