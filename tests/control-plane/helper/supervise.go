package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// A supervisor is the one process that a control plane hangs on: its children
// die with it, whatever ends it, and it ends when it is told to or when its
// owner is gone.
type supervisor struct {
	plane
	owner                              int
	deadline                           time.Duration
	etcd, apiserver, controllerManager string
	// pickPorts returns that many ports that were free a moment ago.
	pickPorts func(count int) ([]int, error)

	ports   []int
	running []*child
	exits   chan *child
}

type child struct {
	name string
	cmd  *exec.Cmd
	done chan struct{}
}

const startAttempts = 5

var errPortTaken = errors.New("a port was taken in between")

func (s *supervisor) run() error {
	ctx, err := s.untilUnwanted()
	if err != nil {
		return err
	}
	if err := s.recordProcess(supervisorName, os.Getpid()); err != nil {
		return err
	}
	rewinds := make(chan os.Signal, 1)
	signal.Notify(rewinds, rewindSignal)
	err = s.startWithRetries(ctx)
	for wanted := true; wanted && err == nil; {
		if err = writeAtomically(s.path("ready"), ""); err != nil {
			break
		}
		select {
		case <-ctx.Done():
			wanted = false
		case exited := <-s.exits:
			err = fmt.Errorf("%s ended by itself: %s", exited.name, exited.cmd.ProcessState)
		case <-rewinds:
			err = s.rewind(ctx)
		}
	}
	s.killChildren()
	if ctx.Err() != nil {
		return s.vanish()
	}
	fmt.Fprintln(os.Stderr, "control-plane:", err)
	s.printLogs()
	if err := writeAtomically(s.path("failed"), ""); err != nil {
		return err
	}
	if s.owner > 0 {
		// The logs stay for as long as somebody may want to read them.
		<-ctx.Done()
		return s.vanish()
	}
	return errors.New("stopped, its logs are kept")
}

func (s *supervisor) vanish() error {
	err := s.removeState()
	// Goes only if it is empty: what else is in it is not ours.
	_ = os.Remove(s.dir)
	return err
}

// untilUnwanted returns a context that ends with a signal or with the owner.
func (s *supervisor) untilUnwanted() (context.Context, error) {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	if s.owner == 0 {
		return ctx, nil
	}
	start, _, err := processStat(s.owner)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("the owner is gone already: %w", err)
	}
	owner := process{pid: s.owner, start: start}
	go func() {
		defer cancel()
		for owner.alive() {
			time.Sleep(100 * time.Millisecond)
		}
	}()
	return ctx, nil
}

func (s *supervisor) startWithRetries(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.deadline)
	defer cancel()
	if err := s.writePKI(); err != nil {
		return err
	}
	for attempt := 1; ; attempt++ {
		err := s.start(ctx)
		if !errors.Is(err, errPortTaken) || attempt == startAttempts {
			return err
		}
		fmt.Fprintf(os.Stderr, "control-plane: %v, trying others\n", err)
		s.killChildren()
		if err := os.RemoveAll(s.path("etcd")); err != nil {
			return err
		}
	}
}

func (s *supervisor) start(ctx context.Context) error {
	s.exits = make(chan *child, len(children))
	ports := s.ports
	if ports == nil {
		var err error
		if ports, err = s.pickPorts(4); err != nil {
			return err
		}
	}
	etcdClient, etcdPeer, api, manager := ports[0], ports[1], ports[2], ports[3]
	if err := s.writeKubeconfigs(api); err != nil {
		return err
	}
	if err := s.launch(etcdName, s.etcd, s.etcdFlags(etcdClient, etcdPeer)); err != nil {
		return err
	}
	if err := s.launch(apiserverName, s.apiserver, s.apiserverFlags(api, etcdClient)); err != nil {
		return err
	}
	probe, err := s.newProbe()
	if err != nil {
		return err
	}
	if err := s.await(ctx, probe, url(api, "/readyz")); err != nil {
		return err
	}
	if err := s.launch(controllerManagerName, s.controllerManager, s.controllerManagerFlags(manager)); err != nil {
		return err
	}
	if err := s.await(ctx, probe, url(manager, "/healthz")); err != nil {
		return err
	}
	// Clients know them from now on.
	s.ports = ports
	// Made by the controller manager: with it, pods and service accounts can be used.
	return s.await(ctx, probe, url(api, "/api/v1/namespaces/default/serviceaccounts/default"))
}

func (s *supervisor) writeKubeconfigs(port int) error {
	return errors.Join(
		writeAtomically(s.path("pki", "server.url"), url(port, "")),
		s.writeUserKubeconfig(s.path("kubeconfig"), "admin", []string{"system:masters"}),
		s.writeUserKubeconfig(s.path("pki", "controller-manager.kubeconfig"), "system:"+controllerManagerName, nil),
	)
}

// launch must be called from the main goroutine: see init.
func (s *supervisor) launch(name, path string, arguments []string) error {
	log, err := createLog(s.path("log", name+".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	started := &child{name: name, cmd: exec.Command(path, arguments...), done: make(chan struct{})}
	started.cmd.Dir = s.dir
	started.cmd.Stdout, started.cmd.Stderr = log, log
	started.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := started.cmd.Start(); err != nil {
		return err
	}
	s.running = append(s.running, started)
	exits := s.exits
	go func() {
		_ = started.cmd.Wait()
		exits <- started
		close(started.done)
	}()
	return s.recordProcess(name, started.cmd.Process.Pid)
}

// killChildren does not ask politely: nothing of the state is wanted afterwards.
func (s *supervisor) killChildren() {
	for i := len(s.running) - 1; i >= 0; i-- {
		_ = s.running[i].cmd.Process.Kill()
		<-s.running[i].done
	}
	s.running = nil
}

// await asks the URL until it answers 200, a child ends or the time is over.
func (s *supervisor) await(ctx context.Context, probe *probe, url string) error {
	for {
		answer := probe.get(ctx, url)
		if answer == nil {
			return nil
		}
		select {
		case exited := <-s.exits:
			if s.lostItsPort(exited.name) {
				return errPortTaken
			}
			return fmt.Errorf("%s ended while starting: %s", exited.name, exited.cmd.ProcessState)
		case <-ctx.Done():
			return fmt.Errorf("not ready in %s: GET %s: %w", s.deadline, url, answer)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (s *supervisor) lostItsPort(name string) bool {
	content, err := os.ReadFile(s.path("log", name+".log"))
	return err == nil && strings.Contains(string(content), "address already in use")
}

// printLogs shows the end of each log, which is where the cause is.
func (s *supervisor) printLogs() {
	for _, name := range children {
		content, err := os.ReadFile(s.path("log", name+".log"))
		if err != nil {
			continue
		}
		lines := strings.Split(strings.TrimSpace(string(content)), "\n")
		lines = lines[max(0, len(lines)-15):]
		fmt.Fprintf(os.Stderr, "--- the end of %s.log\n%s\n", name, strings.Join(lines, "\n"))
	}
}

func createLog(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
}
