"""Tiny models for `doctor`: every pixel becomes 2x2. Written by `export`, zlib, base 85."""

from __future__ import annotations

MODELS = {
    "onnx": (
        "c-oy&!A`<J5be@pw_{^q6BB|5VvPs)V3ea55xB?^Jb5wOcA%BgHr*nLUi<_<fwRBjPr0<DYT^N%%}!<~@6F84qm=DUQjtx@S"
        "04tvKs{WD8N$Ao#82ld3}-<OR`GB{A(^oW+l6<Gf%4pj`YcP9X^X5$jUR$N$1KL^K?Wkl9_gvH$(vxL!k0a*JeyPlOqpk)k8"
        "%rwTPW%>x=f`fBJ|s)43^VrgpNJLG!O0)HK~V+YPnJ3&1LwEt=gvT0T_$KM@JuwhijrUGe(i2%=tT^Hq|Miq(S=MKQ($In)Z"
        "6FRklmKEAD?BenV|F<=3`H7up}~o^J(Y$IzjK9YKu}b#+iO2c?=OtFJ;o58O+rHqB1qM8P{192hO(ybBgH3j*&xo^2)iS>67"
        "ndfx!8(fkC@(`|+"
    ),
    "tflite": (
        "c-p;Fu};H440W2clyYi8st`gQGIZ#K5G)8G!GI7#Oq3Z2?NK7Np-S4q$R{u|GBPtWGB7al6--Rb1pDF(NeKus;K;f2o!|4F?"
        "b`r={jJ?)_=Qx#h8oP_I1K{rB3L*FTm!gfy)^*tQCBPg6K$NLH%UpM2vb5!Fm4mIf*MGF<a(XMwmfl$-GRbIF(OP6=N2o?hy"
        "9@CbY&Yj2CeVBharu5RJZ4JB%hnkA<$`?{e1RYgulrh<FAx;xt`w5vj5ZPXR*`=FoW9cJAQM|_N3#>U|?S?aW1RMvm95N@?Y"
        "k4s@VhTBkB|9v*)-TA#$ik3H&_crx;(0j&MMu&9MLqiod{kT}y-OMm)2shraL_b^JBr-m1jCWyIWIXdaXAZ)C&)?wK_-UU0m"
        "jH^KX_SZi|A{n|+2LKZWlC#^)R9LHY`(_HloF2QT9GjEjS(MtQz37#D1dy+8=$F373d;zmpRWDGeGe$C@a;iCW&8IZSxpX_H"
        "0~K2&Vw)*G%};kv^L=+WbL?%7-_7Lv*u3|Km^_z9sQO145uf!mKLGHBZrK"
    ),
    "native": (
        "c-obb(Qbk;6o#2kVtU;<L1U1cU2NG4Y`YRdj<i4{l%_2v&XDY}_IPUxPISpKPeVfgbNcl^Jzo>g#Sx`xO*IhEkfta)A|*g7I"
        "TNxeB-AKE#~7)sq&37Siih<5kbdxEgk!{^rhS%H`P39=JEt=)TAgMka84^_Di+wnpt9A0`QJm;(o_O3tm4n+MynZTbz7&3eK"
        "^rbO{)!PI8(uaN(<W<XFJA;yZNc%`%5p93JUt{!yTC?)`6CcoY(>gVZ3lj?3OJlWYY>Ylx!KO5pve=tyQBgPi<V3oD_FCVcB"
        "K&N9ypnhi58u`PRG&$mrF(mTjI_^r{)(I^9-{eeEddlFsnP9_=`ZJ_u^2__7EPHXN|KjUOZ!xtTY4uBcY7`(>D%0euI5A+X="
        "C->7AX*Q*h0=ywcz5C6$pudqKi#=7Y^yqn|m@wU(N?o3Qfd;>=p>1h"
    ),
}
