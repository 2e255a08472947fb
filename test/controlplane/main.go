/*
Copyright The Switchyard Authors.

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
*/

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// programs maps the name a component is called by to its main function. Each
// returns the process's exit code; etcd exits by itself.
var programs = map[string]func(args []string) int{
	"etcd":                    etcd,
	"kube-apiserver":          kubeAPIServer,
	"kube-controller-manager": kubeControllerManager,
	"kube-scheduler":          kubeScheduler,
	"kube-proxy":              kubeProxy,
	"kubectl":                 kubectl,
}

// main runs the component named by the file it was called as (a link such as
// bin/etcd), or else by the first argument.
func main() {
	args := os.Args
	run, ok := programs[filepath.Base(args[0])]
	if !ok && len(args) > 1 {
		args = args[1:]
		run, ok = programs[args[0]]
	}
	if !ok {
		fmt.Fprintf(os.Stderr, "controlplane: name the program to run as the first argument, or call it by a link of that name: %s\n",
			strings.Join(names(), ", "))
		os.Exit(2)
	}
	// Every component reads os.Args, to parse flags or to print its usage.
	os.Args = args
	os.Exit(run(args))
}

func names() []string {
	var out []string
	for name := range programs {
		out = append(out, name)
	}
	sort.Strings(out)
	return out
}
