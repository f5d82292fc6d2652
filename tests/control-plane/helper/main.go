// Command helper is what the control-plane script cannot do well in shell: it
// writes the certificates, starts and supervises etcd, kube-apiserver and
// kube-controller-manager, and stops them again. It needs the standard library
// only, and Linux (parent-death signals and /proc).
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

const usage = `usage:
  helper supervise [-owner PID] [-deadline D] -etcd P -kube-apiserver P -kube-controller-manager P DIR
  helper status DIR
  helper stop DIR
  helper save DIR
  helper rewind DIR
  helper user DIR OUT NAME [GROUP...]
  helper token DIR OUT < TOKEN`

var errUsage = errors.New(usage)

func init() {
	// A parent-death signal is tied to the thread that started the child: the
	// children are all started from the main goroutine, which stays on the
	// main thread.
	runtime.LockOSThread()
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "control-plane:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 2 {
		return errUsage
	}
	command, args := args[0], args[1:]
	if command == "supervise" {
		return runSupervise(args)
	}
	p, err := open(args[0])
	if err != nil {
		return err
	}
	switch args = args[1:]; command {
	case "status":
		fmt.Println(p.status())
		return nil
	case "stop":
		return p.stop()
	case "save":
		return p.save()
	case "rewind":
		return p.askToRewind()
	case "user":
		if len(args) < 2 {
			return errUsage
		}
		return p.writeUserKubeconfig(args[0], args[1], args[2:])
	case "token":
		if len(args) != 1 {
			return errUsage
		}
		token, err := io.ReadAll(io.LimitReader(os.Stdin, 64<<10))
		if err != nil {
			return err
		}
		return p.writeTokenKubeconfig(args[0], strings.TrimSpace(string(token)))
	}
	return errUsage
}

func runSupervise(args []string) error {
	var s supervisor
	flags := flag.NewFlagSet("supervise", flag.ContinueOnError)
	flags.IntVar(&s.owner, "owner", 0, "stop when the process with this id is gone")
	flags.DurationVar(&s.deadline, "deadline", 2*time.Minute, "how long the start may take")
	flags.StringVar(&s.etcd, "etcd", "", "path of etcd")
	flags.StringVar(&s.apiserver, "kube-apiserver", "", "path of kube-apiserver")
	flags.StringVar(&s.controllerManager, "kube-controller-manager", "", "path of kube-controller-manager")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 || s.etcd == "" || s.apiserver == "" || s.controllerManager == "" {
		return errUsage
	}
	p, err := open(flags.Arg(0))
	if err != nil {
		return err
	}
	s.plane = p
	s.pickPorts = freePorts
	return s.run()
}

// open names the control plane in dir, which need not exist yet.
func open(dir string) (plane, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return plane{}, err
	}
	return plane{dir: filepath.Clean(dir)}, nil
}
