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

package app

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
)

// configPeriod is how often the configuration file is looked at. It is read
// rather than watched, as a ConfigMap's file is replaced through two symbolic
// links, of which a watch on the file sees nothing.
const configPeriod = 2 * time.Second

// live are the flags of file keys that take effect without a restart.
var live = []string{
	"--bind-address", "--cluster-cidr", "--detect-local-mode", "--masquerade-all", "--nodeport-addresses", "--v",
	"--conntrack-max-per-core", "--conntrack-min", "--conntrack-tcp-be-liberal", "--conntrack-tcp-timeout-close-wait",
	"--conntrack-tcp-timeout-established", "--conntrack-udp-timeout", "--conntrack-udp-timeout-stream", "--oom-score-adj",
}

// reloader follows the configuration file.
type reloader struct {
	args    []string
	current resolved
	// use takes a configuration that differs in live flags only.
	use func(resolved) error
	// try tells why the program could not start with another configuration.
	try func(context.Context, resolved) error
	// refused is what try has said of the file as it is now, which is tried again
	// at the time again.
	refused string
	again   time.Time
	pauses  wait.Backoff
}

// trials are the pauses between the trials of a file that the program could not
// start with, from 2 s to a minute: what is missing may come, but a mistake stays
// until somebody mends it, and each trial of each agent may ask the API server.
func trials() wait.Backoff {
	return wait.Backoff{Duration: configPeriod, Factor: 2, Jitter: 0.5, Steps: 32, Cap: time.Minute}
}

// run applies what changes in the file and can be applied; when something else
// has changed it returns an error that names it, which ends the program so that
// it is begun again with the new file. A file that can not be used is only
// reported: the node goes on as it is.
func (r *reloader) run(ctx context.Context) error {
	path := r.current.options.Config
	// What was read before, which the file may already differ from.
	known := r.current.file
	ticker := time.NewTicker(configPeriod)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		text, err := os.ReadFile(path)
		same := bytes.Equal(text, known)
		if err != nil || same && (r.refused == "" || time.Now().Before(r.again)) {
			continue // while it is replaced, there may be none
		}
		if !same {
			r.refused, r.pauses = "", trials()
		}
		if known, err = r.reload(ctx); err != nil {
			return err
		}
	}
}

// reload takes the file as it is now, of which it returns the text.
func (r *reloader) reload(ctx context.Context) ([]byte, error) {
	next, err := resolve(r.args)
	if err != nil {
		ctrllog.FromContext(ctx).Error(err, "The configuration file has changed and can not be used, going on with the configuration so far")
		r.refused = ""
		return next.file, nil
	}
	return next.file, r.take(ctx, next)
}

// refuse says once that the program could not start with the file, and when it is
// tried again.
func (r *reloader) refuse(ctx context.Context, err error) {
	r.again = time.Now().Add(r.pauses.Step())
	if r.refused != err.Error() {
		r.refused = err.Error()
		ctrllog.FromContext(ctx).Error(err, "The configuration file has changed and the program could not start with it, going on as it is and trying again")
	}
}

func (r *reloader) take(ctx context.Context, next resolved) error {
	changed := differences(r.current, next)
	fixed := slices.DeleteFunc(slices.Clone(changed), func(name string) bool { return slices.Contains(live, name) || meansNothing(name) })
	if r.current.options.features() != next.options.features() && len(fixed) == 0 {
		fixed = changed
	}
	if len(fixed) > 0 {
		if err := r.try(ctx, next); err != nil {
			r.refuse(ctx, err)
			return nil
		}
		return fmt.Errorf("--config=%s has changed in what can not change while the program runs (%s): ending, to be started again with it",
			r.current.options.Config, strings.Join(fixed, ", "))
	}
	r.refused = ""
	if len(changed) == 0 {
		return nil
	}
	ctrllog.FromContext(ctx).Info("The configuration file has changed", "settings", changed)
	r.current = next
	return r.use(next)
}

// meansNothing is about a setting as differences names it.
func meansNothing(name string) bool {
	return slices.ContainsFunc(settings, func(s setting) bool { return "--"+s.flag == name && s.meaning == ignored })
}
