kill -0 $PPID && echo "the parent lives"
(kill -0 $$ && echo "so does the shell")
bash -c 'kill -0 $PPID && echo "and that of a child"'
kill -0 999999 2> /dev/null || echo "nobody else"
