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

package localcluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"switchyard.dev/switchyard/internal/localcluster/control"
	"switchyard.dev/switchyard/internal/localcluster/layout"
	"switchyard.dev/switchyard/internal/localcluster/software"
	"switchyard.dev/switchyard/internal/localcluster/state"
)

// UpOptions are the choices of `switchyard up`.
type UpOptions struct {
	// Nodes is 1 to layout.MaxNodes.
	Nodes int
	// Zones are dealt out to the nodes in turn; none by default.
	Zones []string
	// Port is the API server's on 127.0.0.1; 0 means the first free one from
	// 6443 on.
	Port int
	// KeepRunning lets the cluster outlive `up`, until `down`.
	KeepRunning bool
	// Wait is how long the cluster may take to become ready.
	Wait time.Duration
	// Software is what runs in it; what is left open is filled in.
	Software software.Choice
	// Images are OCI archives of images that containers can be run from.
	Images []string
	// Out gets the progress, in place if it is a Terminal.
	Out      io.Writer
	Terminal bool
}

// Defaults are the options of a plain `switchyard up`.
func (o *UpOptions) Defaults() {
	o.Nodes = 2
	o.Wait = 5 * time.Minute
}

// Validate reports what is wrong with the options.
func (o *UpOptions) Validate() error {
	var errs []error
	if o.Nodes < 1 || o.Nodes > layout.MaxNodes {
		errs = append(errs, fmt.Errorf("--nodes %d: the number must be from 1 to %d", o.Nodes, layout.MaxNodes))
	}
	if o.Port < 0 || o.Port > 65535 {
		errs = append(errs, fmt.Errorf("--port %d: a port is a number from 1 to 65535", o.Port))
	}
	if o.Wait <= 0 {
		errs = append(errs, fmt.Errorf("--wait %v: the time must be positive", o.Wait))
	}
	return errors.Join(append(errs, validateZones(o.Zones), o.Software.Complete().Validate())...)
}

// Up starts a cluster and waits until it is ready. Without KeepRunning it then
// calls ready and stays, until ctx or the cluster ends; when ctx ends, so does
// the cluster, and nothing is left of it. If a cluster is running already, the
// error is a *RunningError.
func Up(ctx context.Context, dir state.Dir, o UpOptions, ready func(time.Duration)) error {
	if err := o.Validate(); err != nil {
		return err
	}
	o.Software = o.Software.Complete()
	binaries, err := FindBinaries(o.Software)
	if err != nil {
		return err
	}
	lock, err := dir.TryLock()
	if errors.Is(err, state.ErrRunning) {
		return describeRunning(ctx, dir)
	}
	if err != nil {
		return err
	}
	u := &upper{dir: dir, options: o}
	if err := u.begin(lock, binaries); err != nil {
		return errors.Join(err, u.abandon(lock))
	}
	_ = lock.Close() // the cluster holds it now
	return u.follow(ctx, ready)
}

// upper is one `switchyard up`.
type upper struct {
	dir     state.Dir
	options UpOptions

	init     *exec.Cmd
	events   *os.File // read end
	lifeline *os.File // write end
}

// follow shows the progress, and then does what the options say.
func (u *upper) follow(ctx context.Context, ready func(time.Duration)) error {
	ended := make(chan struct{})
	go func() {
		_ = u.init.Wait()
		close(ended)
	}()
	last, err := u.watch(ctx)
	if err == nil && last.Kind == control.Failed {
		err = errors.New(last.Detail)
	}
	if err != nil {
		return errors.Join(err, u.end(ended, ctx.Err() == nil))
	}
	if u.options.KeepRunning {
		return u.letGo(ready, last.Elapsed)
	}
	ready(last.Elapsed)
	select {
	case <-ctx.Done():
		return u.end(ended, false)
	case <-ended:
		const text = "the cluster has ended: by `switchyard down`, or by itself, and then %s tells more"
		return errors.Join(fmt.Errorf(text, u.dir.Log(supervisorLog)), u.end(ended, true))
	}
}

// watch shows progress until the cluster is ready, has failed, or ctx ends.
func (u *upper) watch(ctx context.Context) (control.Event, error) {
	p := newProgress(u.options.Out, u.options.Terminal)
	done := make(chan struct{})
	ticking := make(chan struct{})
	go func() {
		defer close(ticking)
		p.tick(done)
	}()
	defer func() {
		close(done)
		<-ticking
	}()
	interrupted := context.AfterFunc(ctx, func() { _ = u.events.Close() })
	defer interrupted()
	last, err := control.ReadEvents(u.events, p.show)
	switch {
	case ctx.Err() != nil:
		return last, errors.New("interrupted")
	case errors.Is(err, control.ErrEnded):
		return last, u.endedEarly()
	default:
		return last, err
	}
}

// endedEarly says why the supervisor ended without a word.
func (u *upper) endedEarly() error {
	if os.Geteuid() != 0 && kernelSetting("kernel.apparmor_restrict_unprivileged_userns") == "1" {
		return explainRefusal(control.ErrEnded, os.Geteuid(), kernelSetting)
	}
	path := u.dir.Log(supervisorLog)
	text, err := os.ReadFile(path)
	if err != nil || len(text) == 0 {
		return control.ErrEnded
	}
	return fmt.Errorf("%w; %s says:\n%s", control.ErrEnded, path, text[max(0, len(text)-2000):])
}

// letGo leaves the cluster to itself.
func (u *upper) letGo(ready func(time.Duration), took time.Duration) error {
	if _, err := u.lifeline.Write([]byte{1}); err != nil {
		return fmt.Errorf("letting go of the cluster: %w", err)
	}
	closeAll(u.lifeline, u.events)
	ready(took)
	return nil
}

// end ends the cluster, waits until it is gone, and removes its state. The
// logs stay if they are still needed.
func (u *upper) end(ended <-chan struct{}, keepLogs bool) error {
	closeAll(u.lifeline, u.events)
	select {
	case <-ended:
	case <-time.After(patience):
		_ = u.init.Process.Kill()
		<-ended
	}
	if !u.dir.Exists() {
		return nil // `down` was faster
	}
	lock, err := u.dir.TryLock()
	if errors.Is(err, state.ErrRunning) {
		return nil // another `up` or `down` is at it already
	}
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	if keepLogs {
		return u.dir.RemoveButLogs()
	}
	return u.dir.Remove()
}
