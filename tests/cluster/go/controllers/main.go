// The controllers of Kubernetes, unchanged: Deployments, ReplicaSets and endpoints behave as they do.
package main

import (
	"os"

	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-controller-manager/app"
)

func main() { os.Exit(cli.Run(app.NewControllerManagerCommand())) }
