seq 1000 | shuf --random-source=/bin/bash | sort -n | uniq -c | tail -n 1
seq 20 | paste - - - | column -t 2>/dev/null | head -n 2
echo 'a:b:c' | tr : '\n' | tac | nl
seq 100 | split -l 30 - part
ls part*
comm -12 partaa partaa | wc -l
printf '%s\n' b a | sort | join - <(printf 'a 1\nb 2\n')
fold -w 10 <<< 'abcdefghijklmnop'
od -c <<< hi
expand <<< 'a	b'
