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
	"time"

	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/localcluster/control"
	"switchyard.dev/switchyard/internal/localcluster/state"
)

// Down ends the cluster, waits until nothing is left of it, and removes its
// state directory. It reports whether there was one, running or crashed.
func Down(ctx context.Context, dir state.Dir) (bool, error) {
	if !dir.Exists() {
		return false, nil
	}
	lock, err := dir.TryLock()
	if errors.Is(err, state.ErrRunning) {
		lock, err = endRunning(ctx, dir)
	}
	if err != nil {
		return false, err
	}
	defer func() { _ = lock.Close() }()
	return true, dir.Remove()
}

// endRunning ends the cluster and takes over its lock.
func endRunning(ctx context.Context, dir state.Dir) (*state.Lock, error) {
	record, err := awaitRecord(ctx, dir)
	if err != nil {
		return nil, err
	}
	process, err := openProcess(record)
	if err != nil {
		return nil, err
	}
	if process != nil {
		defer process.close()
		if err := process.end(ctx, dir); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, busy)
	defer cancel()
	lock, err := dir.WaitLock(ctx)
	if errors.Is(err, state.ErrRunning) {
		return nil, fmt.Errorf("the cluster's init (pid %d) is gone, but another process holds the lock of %s: wait for the `switchyard up` that runs",
			record.PID, dir)
	}
	return lock, err
}

// awaitRecord reads the record, for which a cluster that is being started
// needs a moment.
func awaitRecord(ctx context.Context, dir state.Dir) (state.Record, error) {
	for began := time.Now(); ; {
		record, err := dir.Record()
		if err == nil || time.Since(began) > patience {
			return record, err
		}
		select {
		case <-ctx.Done():
			return record, ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// process is a cluster's init, by a file descriptor that can mean no other.
type process struct {
	pid, fd int
}

// openProcess opens the recorded process, or returns nil if it is gone.
func openProcess(record state.Record) (*process, error) {
	fd, err := unix.PidfdOpen(record.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("opening process %d: %w", record.PID, err)
	}
	// Only now that the number can not be given to another process is it
	// certain whose it is.
	if !record.Alive() {
		_ = unix.Close(fd)
		return nil, nil
	}
	return &process{pid: record.PID, fd: fd}, nil
}

func (p *process) close() { _ = unix.Close(p.fd) }

// end asks the supervisor to end, and kills it if it does not. The kernel lets
// an init be gone only after every process of its PID namespace.
func (p *process) end(ctx context.Context, dir state.Dir) error {
	asking, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := control.NewClient(dir.Socket()).Down(asking); err == nil && p.await(patience) {
		return nil
	}
	if err := unix.PidfdSendSignal(p.fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("killing the cluster's init (pid %d): %w", p.pid, err)
	}
	if !p.await(busy) {
		return fmt.Errorf("the cluster's init (pid %d) was killed and is still there: look for a process in state D", p.pid)
	}
	return nil
}

// await waits until the process is gone, and reports whether it is.
func (p *process) await(limit time.Duration) bool {
	deadline := time.Now().Add(limit)
	for {
		poll := []unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}
		n, err := unix.Poll(poll, max(0, int(time.Until(deadline).Milliseconds())))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		return err == nil && n == 1
	}
}
