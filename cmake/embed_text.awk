# Turns a text file into a C string: awk -v symbol=OPENAPI_TEXT -f embed_text.awk file.
BEGIN { print "// Generated; edit the file it comes from.\nextern const char " symbol "[];\nconst char " symbol "[] =" }
{ gsub(/\\/, "\\\\\\\\"); gsub(/"/, "\\\""); print "    \"" $0 "\\n\"" }
END { print "    ;" }
