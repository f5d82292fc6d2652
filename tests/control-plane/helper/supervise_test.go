package main

import (
	"context"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
)

// Another process may take a port between its choice and its use: whichever of
// the servers loses it, the start succeeds with others.
func TestTakenPortsAreReplaced(t *testing.T) {
	// The children die with the thread that starts them.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	stranger, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	taken := stranger.Addr().(*net.TCPAddr).Port

	s := newSupervisor(t)
	losers := []int{0, 1, 2, 3}
	s.pickPorts = func(count int) ([]int, error) {
		ports, err := freePorts(count)
		if err == nil && len(losers) > 0 {
			ports[losers[0]] = taken
			losers = losers[1:]
		}
		return ports, err
	}
	defer s.killChildren()
	if err := s.startWithRetries(context.Background()); err != nil {
		s.printLogs()
		t.Fatal(err)
	}
	if len(losers) != 0 || len(s.running) != len(children) {
		t.Fatalf("%d servers run, ports %v were never taken", len(s.running), losers)
	}
}

func TestAProcessIsNotTakenForAnother(t *testing.T) {
	p := plane{dir: t.TempDir()}
	if err := p.recordProcess(etcdName, os.Getpid()); err != nil {
		t.Fatal(err)
	}
	recorded := p.process(etcdName)
	if recorded.alive() {
		t.Error("its command line does not mention the directory")
	}
	recorded.mention = ""
	if !recorded.alive() {
		t.Error("it is this very process")
	}
	recorded.start = "1"
	if recorded.alive() {
		t.Error("its id was used again")
	}
}

// newSupervisor uses the binaries that the script finds or builds.
func newSupervisor(t *testing.T) *supervisor {
	t.Helper()
	listed, err := exec.Command("../control-plane", "binaries").Output()
	if err != nil {
		t.Fatal(err)
	}
	paths := map[string]string{}
	for line := range strings.Lines(string(listed)) {
		name, path, _ := strings.Cut(strings.TrimSpace(line), " ")
		paths[name] = path
	}
	return &supervisor{
		plane:             plane{dir: t.TempDir()},
		deadline:          2 * time.Minute,
		etcd:              paths[etcdName],
		apiserver:         paths[apiserverName],
		controllerManager: paths[controllerManagerName],
	}
}
