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

package demo

import (
	"context"
	"fmt"
	"io"
	"time"
)

// Check is one line of the demo's table. Run says what was seen, or what
// should have been.
type Check struct {
	Name string
	Run  func(ctx context.Context, b *Bed) (seen string, err error)
}

// Checks are all checks, in an order in which each finds what it needs.
func Checks() []Check {
	var all []Check
	for _, part := range [][]Check{
		callChecks, scaleChecks, nodePortChecks, portChecks, endpointChecks, nameChecks, outsideChecks, balancerChecks, policyChecks, poolChecks, refusalChecks,
	} {
		all = append(all, part...)
	}
	return all
}

// Run applies the samples and makes every check, a line each as soon as it is
// known, and says how many failed. Colour is for terminals.
func Run(ctx context.Context, b *Bed, out io.Writer, colour bool) (failed int, err error) {
	if err := b.ApplySamples(ctx); err != nil {
		return 0, err
	}
	checks := Checks()
	start := time.Now()
	for _, c := range checks {
		began := time.Now()
		seen, err := c.Run(ctx, b)
		if err != nil {
			failed++
			seen = err.Error()
		}
		fmt.Fprintf(out, "%s  %-54s  %5.1fs  %s\n", mark(err == nil, colour), c.Name, time.Since(began).Seconds(), seen)
		if ctx.Err() != nil {
			return failed, ctx.Err()
		}
	}
	fmt.Fprintf(out, "\n%d of %d checks passed in %.1f s\n", len(checks)-failed, len(checks), time.Since(start).Seconds())
	return failed, nil
}

func mark(ok, colour bool) string {
	text, code := "ok  ", "\x1b[32m"
	if !ok {
		text, code = "FAIL", "\x1b[31m"
	}
	if !colour {
		return text
	}
	return code + text + "\x1b[0m"
}
