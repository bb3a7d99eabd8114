package testbed

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func keeperForTest(t *testing.T) *servers {
	t.Helper()
	s, err := startKeeper(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	return s
}

var never = func(context.Context) error { return errors.New("not ready") }

func TestAServerThatEndsEarlyIsReportedWithItsLog(t *testing.T) {
	s := keeperForTest(t)
	p, err := s.start("broken", filepath.Join(t.TempDir(), "log"), nil, "/bin/sh", "-c", "echo unknown flag >&2; exit 3")
	if err != nil {
		t.Fatal(err)
	}
	err = p.await(t.Context(), never)
	for _, want := range []string{"broken", "exit status 3", "unknown flag"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not contain %q", err, want)
		}
	}
}

func TestAProgramThatCannotStartIsAnError(t *testing.T) {
	s := keeperForTest(t)
	for range 2 { // the name is free again after the failure
		if _, err := s.start("absent", filepath.Join(t.TempDir(), "log"), nil, "/no/such/program"); err == nil ||
			!strings.Contains(err.Error(), "no such file") {
			t.Errorf("got %v, want that there is no such file", err)
		}
	}
}

func TestServersGetOnlyTheEnvironmentGiven(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	s := keeperForTest(t)
	log := filepath.Join(t.TempDir(), "log")
	p, err := s.start("env", log, []string{"GOGC=50"}, "/usr/bin/env")
	if err != nil {
		t.Fatal(err)
	}
	<-p.done
	if got := tail(log, 10); got != "GOGC=50" {
		t.Errorf("environment:\n%s\nwant GOGC=50 alone", got)
	}
}

func TestStopEndsEveryProgramFrozenOnesToo(t *testing.T) {
	s, err := startKeeper(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	var programs []*program
	for _, name := range []string{"running", "frozen"} {
		p, err := s.start(name, filepath.Join(t.TempDir(), "log"), nil, "/bin/sleep", "600")
		if err != nil {
			t.Fatal(err)
		}
		programs = append(programs, p)
	}
	if err := programs[1].signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	programs[1].awaitStopped()
	s.stop()
	for _, p := range programs {
		if alive(p.pid) {
			t.Errorf("%s is alive after stop", p.name)
		}
		<-p.done
		if p.how != "signal: killed" {
			t.Errorf("%s ended with %q, want signal: killed", p.name, p.how)
		}
	}
	if _, err := s.start("late", filepath.Join(t.TempDir(), "log"), nil, "/bin/true"); err == nil {
		t.Error("a program started after stop")
	}
}

func TestProgramsDieWithAKilledKeeper(t *testing.T) {
	s := keeperForTest(t)
	p, err := s.start("orphan", filepath.Join(t.TempDir(), "log"), nil, "/bin/sleep", "600")
	if err != nil {
		t.Fatal(err)
	}
	s.cmd.Process.Kill()
	if err := p.await(t.Context(), never); err == nil || !strings.Contains(err.Error(), "keeper is gone") {
		t.Errorf("got %v, want that the keeper is gone", err)
	}
	if err := poll(t.Context(), startupLimit, func(context.Context) error {
		if alive(p.pid) {
			return fmt.Errorf("process %d is alive", p.pid)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// alive says whether a process exists and has not ended; one that only waits to be collected has.
func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(b), ") Z ")
}

func TestEveryClaimIsAnotherBlock(t *testing.T) {
	a, err := claimBlock()
	if err != nil {
		t.Fatal(err)
	}
	defer a.release()
	b, err := claimBlock()
	if err != nil {
		t.Fatal(err)
	}
	defer b.release()
	if a.x == b.x {
		t.Errorf("both claims got 127.%d.0.0/16", a.x)
	}
}

func TestATakenPortIsPassedOver(t *testing.T) {
	x, err := claimBlock()
	if err != nil {
		t.Fatal(err)
	}
	defer x.release()
	ip := x.reservedIP(200)
	l, err := net.Listen("tcp4", ip+":6443")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()

	var tried []int
	_, err = onFreePort(ip, []int{6443, 16443, 26443}, func(port int) (*program, error) {
		tried = append(tried, port)
		if port == 16443 { // somebody comes in between
			return nil, fmt.Errorf("starting: %w", errPortTaken)
		}
		return nil, nil
	})
	if err != nil || fmt.Sprint(tried) != "[16443 26443]" {
		t.Errorf("tried %v with error %v, want [16443 26443] and none", tried, err)
	}
	if _, err = onFreePort(ip, []int{6443}, nil); err == nil {
		t.Error("no error although every port is taken")
	}
}
