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

package runner

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// imageOrders completes the orders for a program of an image: what is not in the
// manifest is the image's.
func (w *worker) imageOrders(pod *corev1.Pod, c *container, o *orders) error {
	config := c.image.Config
	switch { // as Kubernetes defines command and args
	case len(c.spec.Command) > 0:
	case len(c.spec.Args) > 0:
		o.Args = slices.Concat(config.Entrypoint, o.Args)
	default:
		o.Args = slices.Concat(config.Entrypoint, config.Cmd)
	}
	if len(o.Args) == 0 {
		return fmt.Errorf("%w: no command specified: neither container %s nor its image has one", errConfig, c.spec.Name)
	}
	wanted, err := privilegesOf(pod, c.spec, config.User, accountsOf(c.image.Root))
	if err != nil {
		return fmt.Errorf("%w: %w", errConfig, err)
	}
	p, lost := readIdentities().fit(wanted)
	if lost != "" {
		w.r.event(pod, corev1.EventTypeWarning, "IdentityNotAvailable", "Container "+c.spec.Name+": "+lost)
	}
	c.privileges = p
	staging := filepath.Join(w.sandbox.dir, "roots", c.spec.Name)
	if err := os.MkdirAll(staging, 0o755); err != nil {
		return err
	}
	o.Root = &rootOrders{Image: c.image.Root, Staging: staging, ReadOnly: readOnlyRoot(c.spec), Privileges: p}
	o.Hostname = hostname(pod)
	if o.Dir == "" {
		o.Dir = filepath.Join("/", config.WorkingDir)
	}
	return nil
}

// baseEnv is what an image says of the environment, with the home of the user
// that its program runs as.
func (c *container) baseEnv(pod *corev1.Pod) []string {
	config := c.image.Config
	if c.kind != kindImage || slices.ContainsFunc(config.Env, func(v string) bool { return strings.HasPrefix(v, "HOME=") }) {
		return config.Env
	}
	known := accountsOf(c.image.Root)
	home := "/"
	if p, err := privilegesOf(pod, c.spec, config.User, known); err == nil {
		home = known.byID(p.User).home
	}
	return append(slices.Clone(config.Env), "HOME="+home)
}
