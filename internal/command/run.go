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

package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"syscall"
)

// The exit codes: a wrong command line is told from a failure at work.
const (
	OK     = 0
	Failed = 1
	Misuse = 2
)

// usageError is a mistake on the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// Wrong makes err a mistake on the command line; nil stays nil.
func Wrong(err error) error {
	if err == nil {
		return nil
	}
	return usageError{err}
}

// Run does what the program of that name is for, until a first SIGINT or SIGTERM
// ends the context; a second one ends the program at once. It says to stderr what
// do returned and translates it into an exit code.
func Run(name string, stderr io.Writer, do func(context.Context) error) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	err := do(ctx)
	if err == nil {
		return OK
	}
	fmt.Fprintf(stderr, "%s: %v\n", name, err)
	if _, usage := errors.AsType[usageError](err); usage {
		fmt.Fprintf(stderr, "See `%s --help`.\n", name)
		return Misuse
	}
	return Failed
}
