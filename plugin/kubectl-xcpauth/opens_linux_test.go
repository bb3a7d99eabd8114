package main

import (
	"encoding/binary"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// opens counts, as the kernel tells it, how often a file is opened until the returned function is called.
func opens(t *testing.T, path string) func() int {
	t.Helper()
	fd, err := syscall.InotifyInit1(syscall.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	watch, err := syscall.InotifyAddWatch(fd, path, syscall.IN_OPEN|syscall.IN_CLOSE)
	if err != nil {
		t.Fatal(err)
	}
	total := make(chan int)
	go func() {
		n, buf := 0, make([]byte, 1<<16)
		for {
			got, err := syscall.Read(fd, buf)
			if err != nil {
				break
			}
			events := buf[:got]
			for ignored := false; len(events) >= syscall.SizeofInotifyEvent; {
				mask, length := binary.NativeEndian.Uint32(events[4:]), binary.NativeEndian.Uint32(events[12:])
				if mask&syscall.IN_OPEN != 0 {
					n++
				}
				ignored = ignored || mask&syscall.IN_IGNORED != 0 // the watch was taken away: all before it was told
				if events = events[syscall.SizeofInotifyEvent+length:]; ignored {
					total <- n
					return
				}
			}
		}
		total <- -1
	}()
	return func() int {
		if _, err := syscall.InotifyRmWatch(fd, uint32(watch)); err != nil {
			t.Fatal(err)
		}
		defer syscall.Close(fd)
		return <-total
	}
}

func TestTheKubeconfigIsLoadedOnce(t *testing.T) {
	kubeconfig := serve(t, map[string]*apifake.Server{"hub": apifake.Start(apifake.Hub("eu")...),
		"eu": apifake.Start(apifake.Edge("eu")...)}, nil)
	for _, args := range [][]string{{"status"}, {"plan"}, {"migrate", "--dry-run=server"}, {"migrate", "-y"},
		{"edge", "list"}, {"edge", "publish", "--prove-within", "100ms", "--poll", "50ms"}} {
		counted := opens(t, kubeconfig)
		r := xcpauth(t, kubeconfig, args...)
		if n := counted(); n != 1 || strings.Contains(r.err, "kubeconfig") {
			t.Errorf("%v opens the kubeconfig %d times, want once; exit code %d\n%s", args, n, r.code, r.err)
		}
	}
	counted := opens(t, kubeconfig)
	for range 3 {
		if _, err := os.ReadFile(kubeconfig); err != nil {
			t.Fatal(err)
		}
	}
	if n := counted(); n != 3 {
		t.Errorf("of three openings %d were counted", n)
	}
}
