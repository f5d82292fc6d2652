package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// A plane is one control plane: its state directory, and what is in it.
type plane struct {
	dir string
}

const (
	supervisorName        = "supervisor"
	etcdName              = "etcd"
	apiserverName         = "kube-apiserver"
	controllerManagerName = "kube-controller-manager"
)

var children = []string{etcdName, apiserverName, controllerManagerName}

// owned is all that a control plane ever has in its directory. Stopping removes
// these and nothing else, so that a directory named by mistake loses nothing.
var owned = []string{"ready", "failed", "etcd", "kubeconfig", "kubeconfigs", "kubectl-cache", "log", "pid", "pki", "saved"}

func (p plane) path(elements ...string) string {
	return filepath.Join(append([]string{p.dir}, elements...)...)
}

func (p plane) status() string {
	if !p.process(supervisorName).alive() {
		return "stopped"
	}
	for _, status := range []string{"failed", "ready"} {
		if _, err := os.Stat(p.path(status)); err == nil {
			return status
		}
	}
	return "starting"
}

// stop ends the supervisor, which ends the rest, makes sure that all of it is
// gone and removes the state. It is quiet about a control plane that is not there.
func (p plane) stop() error {
	supervisor := p.process(supervisorName)
	supervisor.signal(syscall.SIGTERM)
	if !supervisor.waitGone(15 * time.Second) {
		supervisor.signal(syscall.SIGKILL)
	}
	for _, name := range append([]string{supervisorName}, children...) {
		process := p.process(name)
		if name != supervisorName {
			process.signal(syscall.SIGKILL)
		}
		if !process.waitGone(15 * time.Second) {
			return fmt.Errorf("%s (process %d) does not end", name, process.pid)
		}
	}
	return p.removeState()
}

func (p plane) removeState() error {
	var errs []error
	for _, name := range owned {
		errs = append(errs, os.RemoveAll(p.path(name)))
	}
	return errors.Join(errs...)
}

func (p plane) recordProcess(name string, pid int) error {
	start, _, err := processStat(pid)
	if err != nil {
		return err
	}
	return writeAtomically(p.path("pid", name), fmt.Sprintf("%d %s\n", pid, start))
}

// process is the recorded process of that name. One that was never recorded is
// a process that is gone.
func (p plane) process(name string) process {
	content, err := os.ReadFile(p.path("pid", name))
	if err != nil {
		return process{}
	}
	var found process
	if _, err := fmt.Sscanf(string(content), "%d %s", &found.pid, &found.start); err != nil {
		return process{}
	}
	found.mention = p.dir
	return found
}

// A process is known by its id, its start time (ids are used again) and, where
// it is one of ours, the directory that its command line mentions.
type process struct {
	pid     int
	start   string
	mention string
}

func (p process) alive() bool {
	if p.pid <= 0 {
		return false
	}
	start, state, err := processStat(p.pid)
	if err != nil || start != p.start || state == "Z" || state == "X" {
		return false
	}
	if p.mention == "" {
		return true
	}
	commandLine, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.pid))
	return err == nil && strings.Contains(string(commandLine), p.mention)
}

func (p process) signal(signal syscall.Signal) {
	if p.alive() {
		_ = syscall.Kill(p.pid, signal)
	}
}

func (p process) waitGone(atMost time.Duration) bool {
	for end := time.Now().Add(atMost); p.alive(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// processStat reads the start time (clock ticks since boot) and the state of a
// process. The command name before them may hold spaces and parentheses.
func processStat(pid int) (start, state string, err error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", "", err
	}
	fields := strings.Fields(string(content[strings.LastIndexByte(string(content), ')')+1:]))
	if len(fields) < 20 {
		return "", "", fmt.Errorf("cannot read the state of process %d", pid)
	}
	return fields[19], fields[0], nil
}

func writeAtomically(path, content string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = file.WriteString(content)
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		_ = os.Remove(file.Name())
	}
	return err
}
