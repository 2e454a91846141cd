package github

import "net/http"

// invalid is a 422 without details.
func invalid(message string) *Error {
	return &Error{Status: http.StatusUnprocessableEntity, Message: message}
}

// failed is a 422 with what is wrong with one field.
func failed(resource, field, code, message string) *Error {
	d := doc{"resource": resource, "code": code}
	if field != "" {
		d["field"] = field
	}
	if message != "" {
		d["message"] = message
	}
	return &Error{Status: http.StatusUnprocessableEntity, Message: "Validation Failed", Errors: []doc{d}}
}
