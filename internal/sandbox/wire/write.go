package wire

import (
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
)

// WriteJSON writes an answer, or a refusal, as JSON 1.1 and says with which status.
func WriteJSON(w io.Writer, service string, answer any, refused *Error) (status int) {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	if refused != nil {
		message := "message"
		if service == "secretsmanager" {
			message = "Message"
		}
		_ = enc.Encode(map[string]string{"__type": refused.Code, message: refused.Message})
		return refused.Status
	}
	if answer == nil {
		answer = struct{}{}
	}
	_ = enc.Encode(answer)
	return http.StatusOK
}

// Namespaces of the query services' documents.
var namespaces = map[string]string{
	"sts": "https://sts.amazonaws.com/doc/2011-06-15/",
	"iam": "https://iam.amazonaws.com/doc/2010-05-08/",
	"rds": "http://rds.amazonaws.com/doc/2014-10-31/",
}

// A Result is an answer of a query service: what stands inside <OperationResult>.
type Result struct {
	Operation string
	Value     any
}

// WriteQuery writes an answer, or a refusal, as query services do and says with which status.
func WriteQuery(w io.Writer, service, id string, answer any, refused *Error) (status int) {
	type meta struct {
		RequestID string `xml:"RequestId"`
	}
	enc := xml.NewEncoder(w)
	if refused != nil {
		type fault struct{ Type, Code, Message string }
		kind := "Sender"
		if refused.Status >= 500 {
			kind = "Receiver"
		}
		_ = enc.Encode(struct {
			XMLName   xml.Name
			Error     fault
			RequestID string `xml:"RequestId"`
		}{xml.Name{Space: namespaces[service], Local: "ErrorResponse"}, fault{kind, refused.Code, refused.Message}, id})
		return refused.Status
	}
	r, _ := answer.(Result)
	start := xml.StartElement{Name: xml.Name{Space: namespaces[service], Local: r.Operation + "Response"}}
	_ = enc.EncodeToken(start)
	_ = enc.EncodeElement(r.Value, xml.StartElement{Name: xml.Name{Local: r.Operation + "Result"}})
	_ = enc.EncodeElement(meta{id}, xml.StartElement{Name: xml.Name{Local: "ResponseMetadata"}})
	_ = enc.EncodeToken(start.End())
	_ = enc.Flush()
	return http.StatusOK
}
