package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"sort"
	"sync"
	"time"
)

func main() {
	var wg sync.WaitGroup
	var mu sync.Mutex
	results := map[int]int{}
	for i := 0; i < 200; i++ {
		wg.Add(1)
		go func(i int) { defer wg.Done(); runtime.Gosched(); mu.Lock(); results[i] = i * i; mu.Unlock() }(i)
	}
	wg.Wait()
	c := make(chan int)
	done := make(chan int)
	go func() {
		s := 0
		for x := range c {
			s += x
		}
		done <- s
	}()
	for i := 0; i < 1000; i++ {
		c <- i
	}
	close(c)
	fmt.Println(len(results), results[12], <-done)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "path %s", r.URL.Path) })
	go http.Serve(l, nil)
	bodies := make([]string, 8)
	for i := range bodies {
		wg.Add(1)
		go func(i int) {
			defer wg.Done()
			r, err := http.Get(fmt.Sprintf("http://%s/%d", l.Addr(), i))
			if err != nil {
				bodies[i] = err.Error()
				return
			}
			b, _ := io.ReadAll(r.Body)
			r.Body.Close()
			bodies[i] = string(b)
		}(i)
	}
	wg.Wait()
	sort.Strings(bodies)
	fmt.Println(bodies)
	select {
	case <-time.After(20 * time.Millisecond):
		fmt.Println("timer")
	}
	out, err := exec.Command("echo", "from child").Output()
	fmt.Printf("%s %v\n", out, err)
	defer func() {
		fmt.Println("recovered", recover() != nil)
		var p *int
		defer func() { fmt.Println(recover()) }()
		*p = 1
	}()
	x := []int{}
	_ = x[len(results)]
}
