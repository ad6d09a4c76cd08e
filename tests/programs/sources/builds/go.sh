# The Go tool: packages compiled side by side from an empty cache, a test run.
export GOCACHE=$PWD/cache HOME=$PWD
cat > main.go <<'G'
package main

import (
	"fmt"
	"strings"
	"sync"
)

func Double(n int) int { return 2 * n }

func main() {
	var wait sync.WaitGroup
	out := make([]string, 8)
	for i := range out {
		wait.Add(1)
		go func(i int) { defer wait.Done(); out[i] = fmt.Sprint(Double(i)) }(i)
	}
	wait.Wait()
	fmt.Println(strings.Join(out, " "))
}
G
cat > main_test.go <<'G'
package main

import "testing"

func TestDouble(t *testing.T) {
	if Double(21) != 42 {
		t.Fatal("wrong")
	}
}
G
go build -trimpath -o program main.go && ./program && sha256sum program
go vet main.go
go test main.go main_test.go | cut -f1
rm -rf cache
