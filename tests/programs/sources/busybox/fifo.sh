mkfifo p
(echo through > p) & cat p
wait
rm p
