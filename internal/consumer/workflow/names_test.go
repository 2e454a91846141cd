package workflow

import (
	"encoding/json"
	"maps"
	"testing"

	"github.com/rastup/rekey/internal/dispatch"
	"github.com/rastup/rekey/internal/rotation"
)

// Whoever can append to the journal could ask for any run: only those that the registry names pass.
func TestOnlyWhatTheRegistryNamesIsAskedFor(t *testing.T) {
	chain := rotation.Chain{Environment: "dev", Secret: "shop/token"}
	const with = `{"workflow":"deploy.yml","repository":"rastup/shop","ref":"main","inputs":{"region":"eu"}}`
	ask := func(change func(*dispatch.Ask)) dispatch.Ask {
		a := dispatch.Ask{Repository: "Rastup/shop", Workflow: "deploy.yml", Ref: "main", At: start, Inputs: map[string]string{"rekey": "rekey-2b0b461b12517936532e",
			"version": "arn:aws:kms:us-east-1:111111111111:key/new", "secret": "shop/token", "environment": "dev", "region": "eu"}}
		if change != nil {
			change(&a)
		}
		return a
	}
	if ok, byDefault := Names(json.RawMessage(with), ask(nil), chain, "rastup/rekey"); !ok || byDefault {
		t.Errorf("as it is: %v %v", ok, byDefault)
	}
	few := ask(func(a *dispatch.Ask) {
		a.Repository, a.Ref = "rastup/rekey", "trunk"
		maps.DeleteFunc(a.Inputs, func(k, _ string) bool { return k != "rekey" })
	})
	if ok, byDefault := Names(json.RawMessage(`{"workflow":"deploy.yml"}`), few, chain, "rastup/rekey"); !ok || !byDefault {
		t.Errorf("by default: %v %v", ok, byDefault)
	}
	for name, change := range map[string]func(*dispatch.Ask){
		"another repository":   func(a *dispatch.Ask) { a.Repository = "rastup/rekey" },
		"another workflow":     func(a *dispatch.Ask) { a.Workflow = "release.yml" },
		"another branch":       func(a *dispatch.Ask) { a.Ref = "patch" },
		"another secret":       func(a *dispatch.Ask) { a.Inputs["secret"] = "shop/other" },
		"another environment":  func(a *dispatch.Ask) { a.Inputs["environment"] = "prod" },
		"another input":        func(a *dispatch.Ask) { a.Inputs["debug"] = "true" },
		"another value":        func(a *dispatch.Ask) { a.Inputs["region"] = "us" },
		"an input too few":     func(a *dispatch.Ask) { delete(a.Inputs, "region") },
		"a key that is none":   func(a *dispatch.Ask) { a.Inputs["rekey"] = "rekey-$(id)" },
		"a version that isn't": func(a *dispatch.Ask) { a.Inputs["version"] = "1; id" },
	} {
		if ok, _ := Names(json.RawMessage(with), ask(change), chain, "rastup/rekey"); ok {
			t.Errorf("%s passes", name)
		}
	}
	if ok, _ := Names(json.RawMessage(`{`), ask(nil), chain, ""); ok {
		t.Error("no parameters pass")
	}
}
