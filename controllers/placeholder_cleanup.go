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

package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/internal/placeholder"
)

// cleanupRetry is how long to wait when something could not be let go of.
const cleanupRetry = 5 * time.Second

// PlaceholderCleanup lets go, once, of all numbers that are held by objects of ours.
// It is what runs in place of the reservation controllers: nobody would hand these
// numbers over, and the API server's repair leaves them alone.
type PlaceholderCleanup struct {
	Config *rest.Config
	// Namespace is where Services that hold ports are: the manager's own.
	Namespace string
}

// Start implements manager.Runnable. Like the controllers it needs the leader's lock.
func (c *PlaceholderCleanup) Start(ctx context.Context) error {
	// It looks once, which is not worth caches.
	reader, err := client.New(c.Config, client.Options{})
	if err != nil {
		return fmt.Errorf("letting go of reserved numbers: %w", err)
	}
	log := ctrl.LoggerFrom(ctx).WithName("placeholder-cleanup")
	keeper := &placeholder.Keeper{Client: reader, Live: reader, Namespace: c.Namespace}
	let := 0
	err = wait.PollUntilContextCancel(ctx, cleanupRetry, true, func(ctx context.Context) (bool, error) {
		released, err := letGo(ctx, keeper)
		let += released
		if err != nil {
			log.Error(err, "Could not let go of all reserved numbers, trying again")
		}
		return err == nil, nil
	})
	if err == nil {
		log.Info("Nothing is held for reservations any more", "released", let)
	}
	return nil // with an error the manager has been told to stop
}

func letGo(ctx context.Context, keeper *placeholder.Keeper) (released int, err error) {
	numbers, err := keeper.List(ctx)
	if err != nil {
		return 0, err
	}
	var errs []error
	for _, number := range numbers {
		err := keeper.Release(ctx, number)
		if errs = append(errs, err); err == nil {
			released++
		}
	}
	return released, errors.Join(errs...)
}
