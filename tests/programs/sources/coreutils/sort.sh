seq $SORT_LINES | sort -R --random-source=/bin/bash > r
sort -n r | sha256sum
sort -r r | head -n 3
sort -S 1M -T . r | tail -n 1
rm r
