package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// rewindSignal asks the supervisor to go back to what was saved.
const rewindSignal = syscall.SIGUSR1

// save copies what etcd has stored, which a backup is. etcd is stopped meanwhile, so that the copy is of one moment: as
// after a crash, which it recovers from.
func (p plane) save() error {
	etcd := p.process(etcdName)
	if p.status() != "ready" || !etcd.alive() {
		return errors.New("no control plane runs there")
	}
	if err := os.RemoveAll(p.path("saved")); err != nil {
		return err
	}
	etcd.signal(syscall.SIGSTOP)
	defer etcd.signal(syscall.SIGCONT)
	if err := etcd.waitStopped(5 * time.Second); err != nil {
		return err
	}
	return os.CopyFS(p.path("saved"), os.DirFS(p.path("etcd")))
}

// askToRewind returns when the control plane is ready again, in the state that was saved.
func (p plane) askToRewind() error {
	if _, err := os.Stat(p.path("saved")); err != nil {
		return fmt.Errorf("nothing was saved: %w", err)
	}
	if p.status() != "ready" {
		return errors.New("no control plane runs there")
	}
	if err := os.Remove(p.path("ready")); err != nil {
		return err
	}
	p.process(supervisorName).signal(rewindSignal)
	for p.status() == "starting" {
		time.Sleep(50 * time.Millisecond)
	}
	if status := p.status(); status != "ready" {
		return fmt.Errorf("the control plane has %s", status)
	}
	return nil
}

// rewind starts all of it anew on the same ports, with what was saved.
func (s *supervisor) rewind(ctx context.Context) error {
	s.killChildren()
	if err := os.RemoveAll(s.path("etcd")); err != nil {
		return err
	}
	if err := os.CopyFS(s.path("etcd"), os.DirFS(s.path("saved"))); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.deadline)
	defer cancel()
	return s.start(ctx)
}

func (p process) waitStopped(atMost time.Duration) error {
	for end := time.Now().Add(atMost); ; time.Sleep(time.Millisecond) {
		_, state, err := processStat(p.pid)
		if err != nil || state == "T" {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("process %d does not stop", p.pid)
		}
	}
}
