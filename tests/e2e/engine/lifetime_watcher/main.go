// Reads a lease and keeps it with the LifetimeWatcher of Vault's own client, until it ends.
package main

import (
	"encoding/json"
	"os"

	"github.com/hashicorp/vault/api"
)

type event struct {
	Event    string `json:"event"`
	Duration int    `json:"duration,omitempty"`
	Error    string `json:"error"`
}

func say(e event) {
	json.NewEncoder(os.Stdout).Encode(e)
}

func main() {
	client, err := api.NewClient(api.DefaultConfig())
	if err != nil {
		panic(err)
	}
	secret, err := client.Logical().Read(os.Args[1])
	if err != nil {
		panic(err)
	}
	say(event{Event: "read", Duration: secret.LeaseDuration})
	watcher, err := client.NewLifetimeWatcher(&api.LifetimeWatcherInput{Secret: secret})
	if err != nil {
		panic(err)
	}
	go watcher.Start()
	defer watcher.Stop()
	for {
		select {
		case err := <-watcher.DoneCh():
			said := ""
			if err != nil {
				said = err.Error()
			}
			say(event{Event: "done", Error: said})
			return
		case renewal := <-watcher.RenewCh():
			say(event{Event: "renewed", Duration: renewal.Secret.LeaseDuration})
		}
	}
}
