{
  "syntax": "example/frontend:1",
  "more": [1, 2.5e3, true, null, {"a": "b"}]
}
