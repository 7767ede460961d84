// Command kube is a real Kubernetes control plane and a current kubectl in one binary, made of the published packages.
// The comparison in tests/cluster runs the API of `regatta up` against it. It holds no logic of its own beyond starting
// and ending things.
package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/component-base/cli"
	"k8s.io/component-base/logs"
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
)

const usage = `usage: kube control-plane --dir DIR [--port PORT] [--etcd-port PORT] [--token TOKEN]
       kube kubectl ARGS...          (also when called by the name kubectl)
       kube apiserver ARGS...        kube-apiserver, ending when stdin closes
       kube controller-manager ARGS... kube-controller-manager, ending when stdin closes
`

func main() {
	if name := filepath.Base(os.Args[0]); name == "kubectl" || strings.HasPrefix(name, "kubectl.") {
		runKubectl()
	}
	if len(os.Args) < 2 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	// The libraries read os.Args themselves: each sees only what is meant for it.
	verb := os.Args[1]
	os.Args = append([]string{verb}, os.Args[2:]...)
	switch verb {
	case "control-plane":
		if err := controlPlane(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, "kube: cannot run the control plane:", err)
			os.Exit(1)
		}
	case "apiserver":
		go exitWithStdin()
		os.Exit(cli.Run(apiserver.NewAPIServerCommand()))
	case "controller-manager":
		go exitWithStdin()
		os.Exit(cli.Run(controllers.NewControllerManagerCommand()))
	case "kubectl":
		runKubectl()
	default:
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
}

func runKubectl() {
	os.Args[0] = "kubectl"
	if _, err := logs.GlogSetter(kubectl.GetLogVerbosity(os.Args)); err != nil {
		fmt.Fprintln(os.Stderr, "kubectl: cannot set the log level:", err)
	}
	if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
		kubectlutil.CheckErr(err)
	}
	os.Exit(0)
}

// exitWithStdin ends the process with whoever holds the other end, however that one ended.
func exitWithStdin() {
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}
