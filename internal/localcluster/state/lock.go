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

package state

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// ErrRunning means that the lock is held: a cluster runs, starts or ends.
var ErrRunning = errors.New("a cluster is running")

// Lock is a held lock on a state directory. It is an flock(2), which belongs
// to the open file: processes that inherit File hold it too, and it is free
// when the last of them has ended or closed it.
type Lock struct {
	File *os.File
}

// Close gives up this process's hold on the lock.
func (l *Lock) Close() error { return l.File.Close() }

// TryLock takes the lock, or returns ErrRunning. It makes the directory if
// there is none, and refuses one that holds what is not ours.
func (d Dir) TryLock() (*Lock, error) {
	for {
		if err := d.refuseForeign(); err != nil {
			return nil, err
		}
		if err := d.make(); err != nil {
			return nil, err
		}
		file, err := os.OpenFile(d.lock(), os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return nil, notOurs(fmt.Errorf("opening the lock of the state directory: %w", err))
		}
		if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			_ = file.Close()
			if errors.Is(err, unix.EWOULDBLOCK) {
				return nil, ErrRunning
			}
			return nil, fmt.Errorf("locking %s: %w", file.Name(), err)
		}
		if stillThere(file) {
			if err := writeMark(file); err != nil {
				_ = file.Close()
				return nil, err
			}
			return &Lock{File: file}, nil
		}
		// Between open and flock another process removed the directory: what
		// is locked now has no name any more and keeps nobody out.
		_ = file.Close()
	}
}

func (d Dir) make() error {
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return notOurs(fmt.Errorf("making the state directory: %w", err))
	}
	return nil
}

// WaitLock takes the lock once it is free, or gives up when ctx ends.
func (d Dir) WaitLock(ctx context.Context) (*Lock, error) {
	for {
		lock, err := d.TryLock()
		if !errors.Is(err, ErrRunning) {
			return lock, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for the lock of %s: %w", d, ErrRunning)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Exists reports whether there is a state directory, or something that can not
// be looked at in its place.
func (d Dir) Exists() bool {
	_, err := os.Stat(d.lock())
	return !errors.Is(err, os.ErrNotExist)
}

func stillThere(file *os.File) bool {
	held, err := file.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(file.Name())
	return err == nil && os.SameFile(held, named)
}
