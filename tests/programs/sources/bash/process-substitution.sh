diff <(printf 'a\nb\n') <(printf 'a\nc\n')
cat <(echo one) <(echo two)
echo data | tee >(tr a-z A-Z > upper) > /dev/null
sleep 0.2
cat upper
